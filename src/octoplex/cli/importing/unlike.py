"""Why a key of another gateway has no counterpart here, and what to do instead.

Keyed by the whole path without indexes, by the key alone, or by a table above it; the first of
these that is there counts. A sentence says what somebody does who wants the same.
"""

from collections.abc import Mapping
from types import MappingProxyType

RECORDS = "every request is recorded: octoplex logs, GET /v1/requests, /metrics for Prometheus."
CACHE = "[models.NAME.cache] ttl keeps the replies of a route, for each key: docs/cache.md."
GUARD = "[guard] says what is flagged, masked or blocked: docs/guard.md."
KEYS_KEPT = "keys, teams and budgets of a database stay there: octoplex keys new makes new ones."
STORE = "state is SQLite in the data folder, by itself; nothing is to be set up."
BREAKER = "a target that fails is left alone by itself: docs/contracts.md, Attempts."
LIMITS = "limits belong to keys: [keys.NAME] limits."
PARALLEL = 'callers have such a limit: limits = "20 parallel" of [keys.NAME] or [tenants.NAME].'
ADMIN = "there is no web interface: the shell (octoplex --help) and /admin do it."
LOGS = "what is written of each call is fixed: octoplex logs shows it, [server] log its form."
MCP = "tools are the callers' own; no MCP server is asked."
SPEND = "octoplex spend shows what was spent, from the ledger."
WATCHED = "watch /metrics; of budgets the webhook of [tenants.NAME] alerts is told."
POOL = "connections and queues look after themselves."

LITELLM: Mapping[str, str] = MappingProxyType(
    {
        "litellm_settings.success_callback": RECORDS,
        "litellm_settings.failure_callback": RECORDS,
        "litellm_settings.callbacks": RECORDS,
        "litellm_settings.service_callback": RECORDS,
        "callback_settings": RECORDS,
        "litellm_settings.cache": CACHE,
        "litellm_settings.cache_params": CACHE,
        "router_settings.cache_responses": CACHE,
        "router_settings.caching_groups": CACHE,
        "include": "this file alone was read: import those as well.",
        "guardrails": GUARD,
        "litellm_settings.guardrails": GUARD,
        "litellm_settings.max_budget": "give the keys limits instead, such as $50/month.",
        "litellm_settings.budget_duration": "give the keys limits instead, such as $50/month.",
        "litellm_settings.context_window_fallbacks": (
            "a call too long for a target goes to the next of the route with a larger context: "
            "add that target to `try`."
        ),
        "router_settings.context_window_fallbacks": (
            "a call too long for a target goes to the next of the route with a larger context: "
            "add that target to `try`."
        ),
        "litellm_settings.set_verbose": LOGS,
        "litellm_settings.json_logs": 'write [server] log = "json".',
        "litellm_settings.turn_off_message_logging": "messages are not logged here.",
        "litellm_settings.allowed_fails": BREAKER,
        "litellm_settings.cooldown_time": BREAKER,
        "litellm_settings.ssl_verify": "roots of your own: SSL_CERT_FILE.",
        "litellm_settings.telemetry": "nothing is reported to anybody.",
        "litellm_settings.modify_params": "requests are not altered; see drop_unsupported.",
        "litellm_settings.default_internal_user_params": KEYS_KEPT,
        "litellm_settings.default_team_params": KEYS_KEPT,
        "litellm_settings.upperbound_key_generate_params": KEYS_KEPT,
        "litellm_settings.cost_discount_config": "write the price you pay into [prices].",
        "litellm_settings.cost_margin_config": "write the price you charge into [prices].",
        "litellm_settings.mcp_aliases": MCP,
        "mcp_servers": MCP,
        "router_settings.allowed_fails": BREAKER,
        "router_settings.cooldown_time": BREAKER,
        "router_settings.disable_cooldowns": BREAKER,
        "router_settings.allowed_fails_policy": BREAKER,
        "router_settings.retry_policy": (
            "what is retried goes by the kind of failure already: docs/contracts.md, Attempts."
        ),
        "router_settings.model_group_retry_policy": "[models.NAME.retry] says it of one route.",
        "router_settings.retry_after": "[models.NAME.retry] backoff_s says it of one route.",
        "router_settings.enable_pre_call_checks": (
            "the context that a family of models has is known, and regions are `region`."
        ),
        "router_settings.provider_budget_config": LIMITS,
        "router_settings.routing_groups": "`pick` is said of each route: [models.NAME] pick.",
        "router_settings.stream_idle_timeout": "write timeouts.idle_s of the provider or route.",
        "router_settings.redis_host": STORE,
        "router_settings.redis_port": STORE,
        "router_settings.redis_password": STORE,
        "router_settings.redis_url": STORE,
        "router_settings.enable_tag_filtering": "a route of its own takes the place of a tag.",
        "router_settings.model_group_alias.hidden": "every route is listed under /v1/models.",
        "general_settings.database_url": KEYS_KEPT,
        "general_settings.store_model_in_db": "models of the database are not in this file.",
        "general_settings.alerting": WATCHED,
        "general_settings.alerting_threshold": WATCHED,
        "general_settings.max_request_size_mb": "write [server] max_body.",
        "general_settings.pass_through_endpoints": "/providers/NAME/... passes requests on.",
        "general_settings.custom_auth": "keys are the only way in.",
        "general_settings.enable_jwt_auth": "keys are the only way in.",
        "general_settings.background_health_checks": BREAKER,
        "general_settings.health_check_interval": BREAKER,
        "general_settings.disable_spend_logs": SPEND,
        "general_settings.store_prompts_in_spend_logs": LOGS,
        "general_settings.proxy_batch_write_at": STORE,
        "general_settings.ui_access_mode": ADMIN,
        "general_settings.max_parallel_requests": PARALLEL,
        "general_settings.global_max_parallel_requests": PARALLEL,
        "general_settings.completion_model": "callers name the model that they want.",
        "general_settings.key_management_system": "secrets are env:NAME or file:PATH.",
        "general_settings": "this is of LiteLLM's own server.",
        "litellm_settings": "this is of LiteLLM's own inner working.",
        "router_settings": "this is of LiteLLM's own router.",
        "model_list.model_info.access_groups": "a key lists what it may ask: [keys.NAME] models.",
        "model_list.model_info.supported_environments": "keep one file for each environment.",
        "model_list.model_info.base_model": "octoplex explain NAME shows the price; else [prices].",
        "input_cost_per_second": "[prices] are by tokens, or `request` for each call.",
        "output_cost_per_second": "[prices] are by tokens, or `request` for each call.",
        "model_list.model_info": "a model's limits and abilities are known by its name.",
        "model_list.litellm_params.tags": "a route of its own takes the place of a tag.",
        "model_list.litellm_params.max_budget": LIMITS,
        "model_list.litellm_params.budget_duration": LIMITS,
        "model_list.litellm_params.max_parallel_requests": PARALLEL,
        "model_list.litellm_params.region_name": "write `region` of the provider and the route.",
        "model_list.litellm_params.mock_response": "octoplex mock plays a provider for tests.",
        "model_list.litellm_params.drop_params": "write drop_unsupported = true of the route.",
        "model_list.litellm_params.aws_role_name": "sign with keys: AWS_SESSION_TOKEN is read.",
        "model_list.litellm_params.aws_profile_name": "sign with AWS_ACCESS_KEY_ID and its secret.",
        "model_list.litellm_params.tenant_id": "give an api_key, or a token as azure_ad_token.",
        "model_list.litellm_params.client_id": "give an api_key, or a token as azure_ad_token.",
        "model_list.litellm_params.client_secret": "give an api_key, or a token as azure_ad_token.",
        "model_list.litellm_params.keepalive_seconds": "quiet streams are kept alive.",
        "model_list.litellm_params.vertex_project": "set GOOGLE_CLOUD_PROJECT.",
        "model_list.litellm_params.litellm_credential_name": "no credential of that name is here.",
        "model_list.litellm_params": "this is of LiteLLM's own call.",
        "credential_list.credential_info": "it describes and changes nothing.",
    }
)

BIFROST: Mapping[str, str] = MappingProxyType(
    {
        "$schema": "it names the form of their file and changes nothing.",
        "version": "it names the form of their file and changes nothing.",
        "source_of_truth": "the file alone decides here.",
        "encryption_key": "no provider's key is stored, so there is nothing to encrypt.",
        "config_store": STORE,
        "logs_store": STORE,
        "vector_store": CACHE,
        "framework": "prices are shipped: octoplex prices update, or [prices].",
        "mcp": MCP,
        "websocket": POOL,
        "guardrails_config": GUARD,
        "alerting": WATCHED,
        "access_profiles": KEYS_KEPT,
        "cluster_config": "one host serves.",
        "auth_config": ADMIN,
        "governance.auth_config": ADMIN,
        "governance.teams": "a team is a table [tenants.NAME.TEAM] here, with limits and models.",
        "governance.customers": "a customer is a table [tenants.NAME] here, with limits.",
        "governance.budgets": "a budget belongs to a key or a tenant: their limits.",
        "governance.rate_limits": "a rate limit belongs to a key or a tenant: their limits.",
        "governance.model_configs": LIMITS,
        "governance.pricing_overrides": "write [prices].",
        "governance.virtual_keys.provider_configs.weight": (
            "a name stands for one provider here: a route with weights spreads it."
        ),
        "governance.virtual_keys.provider_configs": LIMITS,
        "governance.virtual_keys": "a key has models, limits, a tenant and a region.",
        "governance": "a key has models, limits, a tenant and a region.",
        "client.enable_logging": RECORDS,
        "client.disable_content_logging": "messages are not logged here.",
        "client.log_retention_days": LOGS,
        "client.prometheus_labels": "/metrics has labels of its own.",
        "client.initial_pool_size": POOL,
        "client.drop_excess_requests": POOL,
        "client.allow_direct_keys": "callers never bring providers' keys.",
        "client.enforce_auth_on_inference": "once one key exists every call needs one.",
        "client.compat": "requests are not rewritten; drop_unsupported drops what a target lacks.",
        "client": "this is of Bifrost's own server.",
        "plugins": "plugins are not loaded: there are octoplex logs, /metrics, [guard] and caches.",
        "concurrency_and_buffer_size": POOL,
        "proxy_config": "proxies are HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.",
        "prompt_cache": "callers mark what is cached; nothing is added.",
        "insecure_skip_verify": "certificates are always checked; see SSL_CERT_FILE.",
        "ca_cert_pem": "roots of your own: SSL_CERT_FILE.",
        "max_retries": "retries belong to routes: [models.NAME.retry] attempts.",
        "retry_backoff_initial": "[models.NAME.retry] backoff_s says it of a route.",
        "retry_backoff_max": "[models.NAME.retry] wait_max_s says it of a route.",
        "max_conns_per_host": POOL,
        "weight": "the keys of a pool take turns when one is refused; they are not weighed.",
        "use_for_batch_api": "batches go by the same keys.",
        "blacklisted_models": "what may be asked belongs to keys: [keys.NAME] models.",
        "api_version": "Azure's API is asked without a date; azure-openai-deployments has one.",
        "allowed_requests": "what may be asked belongs to keys: [keys.NAME] models.",
        "request_path_overrides": "a dialect's paths are its own: dialects = { NAME = PREFIX }.",
        "role_arn": "sign with keys: AWS_SESSION_TOKEN is read.",
        "send_back_raw_response": "within a dialect replies pass byte for byte anyway.",
        "send_back_raw_request": "replies do not hold requests.",
    }
)

TENSORZERO: Mapping[str, str] = MappingProxyType(
    {
        "gateway.auth": "its keys are in Postgres: octoplex keys new makes new ones.",
        "gateway.observability": RECORDS,
        "gateway.export": RECORDS,
        "gateway.metrics": RECORDS,
        "gateway.cache": CACHE,
        "gateway.relay": "name the other gateway as a provider.",
        "gateway.base_path": "paths begin with /v1.",
        "gateway.debug": LOGS,
        "gateway.fetch_and_encode_input_files_before_inference": "see [server.media].",
        "gateway.disable_pseudonymous_usage_analytics": "nothing is reported to anybody.",
        "gateway": "this is of TensorZero's own server.",
        "clickhouse": STORE,
        "postgres": STORE,
        "object_storage": STORE,
        "rate_limiting": LIMITS,
        "metrics": "callers say what an answer was worth at POST /v1/feedback, without a table.",
        "evaluations": "evaluations are not run.",
        "tools": "tools are in the caller's request.",
        "optimizers": "models are not trained.",
        "provider_types": "only where keys are is read of it.",
        "system_template": "prompts stay with the caller: send them as messages.",
        "user_template": "prompts stay with the caller: send them as messages.",
        "assistant_template": "prompts stay with the caller: send them as messages.",
        "input_wrappers": "prompts stay with the caller: send them as messages.",
        "templates": "prompts stay with the caller: send them as messages.",
        "system_schema": "prompts stay with the caller: send them as messages.",
        "user_schema": "prompts stay with the caller: send them as messages.",
        "assistant_schema": "prompts stay with the caller: send them as messages.",
        "schemas": "prompts stay with the caller: send them as messages.",
        "max_delay_s": "[models.NAME.retry] wait_max_s and backoff_s say it of a route.",
        "json_mode": "callers send response_format; what a target lacks is checked here.",
        "output_schema": "callers send response_format with the schema.",
        "tool_choice": "callers send tool_choice.",
        "description": "it describes and changes nothing.",
        "extra_body": "members of the request: [models.NAME] defaults.",
        "provider_tools": "callers send the tools that they want.",
        "batch_cost": "batches cost what the vendor's list says.",
        "skip_relay": "name the other gateway as a provider.",
        "discard_unknown_chunks": "within a dialect every event passes.",
        "thinking_budget_tokens": "callers send it in their dialect's words.",
        "include_encrypted_reasoning": "callers send `include` in a Responses request.",
    }
)
