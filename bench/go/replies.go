package main

import (
	"bytes"
	"fmt"
	"strings"
)

// The scripted answers. Words `word-01` ... `word-50` let the load generator prove that a
// translated stream still carries the first and the last piece of content.

const streamEvents = 50

// reply is what one request gets: pieces that are written one by one, in order.
type reply struct {
	pieces [][]byte
	paced  bool
}

// script holds every reply, made once at start.
type script struct {
	chat, chatStream, chatStreamUsage, messages, messagesStream, models, unknown reply
}

func newScript() *script {
	return &script{
		chat:            plainReply("200 OK", chatBody()),
		chatStream:      streamReply(chatEvents(false)),
		chatStreamUsage: streamReply(chatEvents(true)),
		messages:        plainReply("200 OK", messagesBody()),
		messagesStream:  streamReply(messagesEvents()),
		models:          plainReply("200 OK", `{"object":"list","data":[{"id":"gpt-mock","object":"model"}]}`),
		unknown:         plainReply("404 Not Found", `{"error":{"message":"no such path","type":"invalid_request_error"}}`),
	}
}

// choose picks the reply for one request by path and body.
func (s *script) choose(path, body []byte) reply {
	streamed := hasTrue(body, `"stream":`)
	var chosen reply
	switch {
	case bytes.HasSuffix(path, []byte("/chat/completions")) && !streamed:
		return s.chat
	case bytes.HasSuffix(path, []byte("/chat/completions")) && hasTrue(body, `"include_usage":`):
		chosen = s.chatStreamUsage
	case bytes.HasSuffix(path, []byte("/chat/completions")):
		chosen = s.chatStream
	case bytes.HasSuffix(path, []byte("/messages")) && !streamed:
		return s.messages
	case bytes.HasSuffix(path, []byte("/messages")):
		chosen = s.messagesStream
	case bytes.HasSuffix(path, []byte("/models")):
		return s.models
	default:
		return s.unknown
	}
	chosen.paced = bytes.Contains(body, []byte("gpt-paced"))
	return chosen
}

// hasTrue tells whether the member `name` (quoted, with its colon) is true, with or without a
// space after the colon. The bodies of the benchmark never hold such a text in their content.
func hasTrue(body []byte, name string) bool {
	at := bytes.Index(body, []byte(name))
	if at < 0 {
		return false
	}
	rest := body[at+len(name):]
	return bytes.HasPrefix(rest, []byte("true")) || bytes.HasPrefix(rest, []byte(" true"))
}

func plainReply(status, body string) reply {
	head := fmt.Sprintf("HTTP/1.1 %s\r\ncontent-type: application/json\r\n"+
		"x-request-id: req_mock_0123456789\r\ncontent-length: %d\r\n\r\n", status, len(body))
	return reply{pieces: [][]byte{[]byte(head + body)}}
}

// streamReply makes one piece per event: the first carries the head, the last the end of the body.
func streamReply(events []string) reply {
	head := "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n" +
		"cache-control: no-cache\r\nx-request-id: req_mock_0123456789\r\n" +
		"transfer-encoding: chunked\r\n\r\n"
	var pieces [][]byte
	for _, event := range events {
		pieces = append(pieces, []byte(fmt.Sprintf("%x\r\n%s\r\n", len(event), event)))
	}
	last := len(pieces) - 1
	pieces[0] = append([]byte(head), pieces[0]...)
	pieces[last] = append(pieces[last], "0\r\n\r\n"...)
	return reply{pieces: pieces}
}

const chatUsage = `{"prompt_tokens":96,"completion_tokens":50,"total_tokens":146,` +
	`"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},` +
	`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}`

// chatBody is an OpenAI chat completion of 583 bytes.
func chatBody() string {
	front := `{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion",` +
		`"created":1741570283,"model":"gpt-mock","choices":[{"index":0,"message":{"role":` +
		`"assistant","content":"word-01 `
	back := `word-50","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":` +
		chatUsage + `}`
	return front + filler(583-len(front)-len(back)) + back
}

// messagesBody is an Anthropic message of about the same size.
func messagesBody() string {
	front := `{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant",` +
		`"model":"claude-mock","content":[{"type":"text","text":"word-01 `
	back := `word-50"}],"stop_reason":"end_turn","stop_sequence":null,"usage":` +
		`{"input_tokens":96,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,` +
		`"output_tokens":50}}`
	return front + filler(583-len(front)-len(back)) + back
}

// chatEvents is a role chunk, 50 content chunks of about 300 bytes, a finish chunk and the end.
func chatEvents(usage bool) []string {
	chunk := func(delta, finish, tail string) string {
		return `data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":` +
			`"chat.completion.chunk","created":1741570283,"model":"gpt-mock","service_tier":` +
			`"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":` + delta +
			`,"logprobs":null,"finish_reason":` + finish + `}]` + tail + "}\n\n"
	}
	tail := ""
	if usage {
		tail = `,"usage":null`
	}
	events := []string{chunk(`{"role":"assistant","content":"","refusal":null}`, "null", tail)}
	for i := 1; i <= streamEvents; i++ {
		events = append(events, chunk(fmt.Sprintf(`{"content":"word-%02d %s"}`, i, filler(24)), "null", tail))
	}
	events = append(events, chunk(`{}`, `"stop"`, tail))
	if usage {
		last := chunk(`{}`, "null", `,"usage":`+chatUsage)
		open := strings.Index(last, `"choices":[`) + len(`"choices":[`)
		shut := strings.Index(last, `],"usage"`)
		events = append(events, last[:open]+last[shut:])
	}
	return append(events, "data: [DONE]\n\n")
}

// messagesEvents is an Anthropic stream with 50 text deltas of about 300 bytes.
func messagesEvents() []string {
	event := func(name, rest string) string {
		return "event: " + name + "\ndata: {\"type\":\"" + name + "\"" + rest + "}\n\n"
	}
	events := []string{
		event("message_start", `,"message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message",`+
			`"role":"assistant","model":"claude-mock","content":[],"stop_reason":null,`+
			`"stop_sequence":null,"usage":{"input_tokens":96,"cache_creation_input_tokens":0,`+
			`"cache_read_input_tokens":0,"output_tokens":1}}`),
		event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`),
	}
	for i := 1; i <= streamEvents; i++ {
		events = append(events, event("content_block_delta", fmt.Sprintf(
			`,"index":0,"delta":{"type":"text_delta","text":"word-%02d %s"}`, i, filler(168))))
	}
	return append(events,
		event("content_block_stop", `,"index":0`),
		event("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},`+
			`"usage":{"output_tokens":50}`),
		event("message_stop", ""))
}

// filler is n bytes of plain words without a quote, ending in a space.
func filler(n int) string {
	text := strings.Repeat("a calm octopus keeps eight promises at once ", n/44+1)
	return text[:n-1] + " "
}
