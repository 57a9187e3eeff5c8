package main

import "bytes"

// request is one framed HTTP/1.1 request inside a connection's buffer.
type request struct {
	path []byte
	body []byte
	size int  // bytes it takes in the buffer
	bad  bool // the bytes are no request that this mock understands
}

// frameRequest finds the first whole request in data; ok is false while bytes are missing.
// Content-Length and chunked bodies are understood, nothing else is needed here.
func frameRequest(data []byte) (found request, ok bool) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return found, false
	}
	head := data[:end+2]
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	_, target, _ := bytes.Cut(line, []byte(" "))
	found.path, _, _ = bytes.Cut(target, []byte(" "))
	if query := bytes.IndexByte(found.path, '?'); query >= 0 {
		found.path = found.path[:query]
	}
	length, chunked := bodyLength(rest)
	if chunked {
		return frameChunked(found, data, end+4)
	}
	if length < 0 {
		return request{bad: true}, true
	}
	if found.size = end + 4 + length; len(data) < found.size {
		return found, false
	}
	found.body = data[end+4 : found.size]
	return found, true
}

// bodyLength reads the framing headers: the length (0 without one, -1 if malformed), or chunked.
func bodyLength(headers []byte) (length int, chunked bool) {
	for len(headers) > 0 {
		var line []byte
		line, headers, _ = bytes.Cut(headers, []byte("\r\n"))
		switch {
		case hasName(line, "content-length:"):
			length = parseNumber(bytes.TrimSpace(line[len("content-length:"):]), 10)
		case hasName(line, "transfer-encoding:"):
			chunked = bytes.Contains(bytes.ToLower(line), []byte("chunked"))
		}
	}
	return length, chunked
}

// hasName tells whether the header line starts with the lower-case name, in any case.
func hasName(line []byte, name string) bool {
	if len(line) < len(name) {
		return false
	}
	for i := range len(name) {
		if line[i]|0x20 != name[i]|0x20 {
			return false
		}
	}
	return true
}

// frameChunked joins the chunks of a body; requests of this kind are rare and may copy.
func frameChunked(found request, data []byte, at int) (request, bool) {
	var body []byte
	for {
		line := bytes.Index(data[at:], []byte("\r\n"))
		if line < 0 {
			return found, false
		}
		size := parseNumber(data[at:at+line], 16)
		if size < 0 {
			return request{bad: true}, true
		}
		at += line + 2
		if len(data) < at+size+2 {
			return found, false
		}
		body = append(body, data[at:at+size]...)
		at += size + 2
		if size == 0 {
			found.body, found.size = body, at
			return found, true
		}
	}
}

// parseNumber reads a non-negative number in base 10 or 16; -1 when it is none.
func parseNumber(digits []byte, base int) int {
	if len(digits) == 0 || len(digits) > 9 {
		return -1
	}
	value := 0
	for _, c := range digits {
		d := 99
		switch {
		case c >= '0' && c <= '9':
			d = int(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			d = int(c|0x20-'a') + 10
		}
		if d >= base {
			return -1
		}
		value = value*base + d
	}
	return value
}
