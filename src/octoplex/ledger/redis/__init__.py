"""What hosts share in a Redis: replies that are given again, claims, news, and counters.

address.py   where it is: `[server] redis`, read
link.py      the connections: commands, scripts, subscriptions; down is known at once
stock.py     `RedisStock`: replies that are given again, behind a memory of one's own
claims.py    `RedisClaims`: who of several hosts asks for an idempotency key
common.py    `RedisCommon`: that keys or switches have changed, and the switches themselves

The extra `redis`. Nothing here is imported unless the configuration names one.
"""
