package main

import (
	"bytes"
	"fmt"
	"time"
)

// loadConn is one client connection and the answer that it is receiving.
type loadConn struct {
	fd       int
	in       []byte // received, not yet decoded
	body     []byte // decoded body of this answer
	out      []byte // of the request, not yet written
	waits    bool   // registered for writability
	busy     bool
	close    bool // the answer said `connection: close`
	headDone bool
	chunked  bool
	untilEOF bool
	left     int // body or chunk bytes still to come; -1 between chunks
	status   int
	dueAt    time.Time
	firstAt  time.Time
}

func (c *loadConn) begin(request []byte, dueAt time.Time) {
	c.out, c.busy, c.dueAt, c.firstAt = request, true, dueAt, time.Time{}
	c.in, c.body = c.in[:0], c.body[:0]
	c.headDone, c.chunked, c.untilEOF, c.close, c.status = false, false, false, false, 0
}

// decode moves whole parts from in to body; done at the end of the answer.
func (c *loadConn) decode() (done bool, problem string) {
	if !c.headDone {
		end := bytes.Index(c.in, []byte("\r\n\r\n"))
		if end < 0 {
			return false, ""
		}
		if problem = c.readHead(c.in[:end+2]); problem != "" {
			return true, problem
		}
		c.headDone = true
		c.take(end + 4)
	}
	if c.chunked {
		return c.decodeChunks()
	}
	c.body = append(c.body, c.in...)
	c.left -= len(c.in)
	c.in = c.in[:0]
	if !c.untilEOF && c.left < 0 {
		return true, "more bytes than content-length"
	}
	return !c.untilEOF && c.left == 0, ""
}

func (c *loadConn) take(n int) { c.in = c.in[:copy(c.in, c.in[n:])] }

func (c *loadConn) readHead(head []byte) string {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return "no HTTP/1.1 status line"
	}
	c.status = parseNumber(line[9:12], 10)
	c.left, c.untilEOF = -1, true
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		switch {
		case hasName(line, "content-length:"):
			c.left = parseNumber(bytes.TrimSpace(line[len("content-length:"):]), 10)
			c.untilEOF = false
		case hasName(line, "transfer-encoding:"):
			c.chunked, c.untilEOF = true, false
		case hasName(line, "connection:"):
			c.close = bytes.Contains(bytes.ToLower(line), []byte("close"))
		}
	}
	if c.chunked {
		c.left = -1
	}
	return ""
}

// decodeChunks consumes what it can of a chunked body (no trailers, no extensions expected).
func (c *loadConn) decodeChunks() (done bool, problem string) {
	at := 0
	defer func() { c.take(at) }()
	for {
		if c.left < 0 {
			line := bytes.Index(c.in[at:], []byte("\r\n"))
			if line < 0 {
				return false, ""
			}
			size := parseNumber(c.in[at:at+line], 16)
			if size < 0 {
				return true, "malformed chunk size"
			}
			if size == 0 {
				if len(c.in)-at < line+4 {
					return false, ""
				}
				at += line + 4
				return true, ""
			}
			at += line + 2
			c.left = size + 2
		}
		part := min(c.left, len(c.in)-at)
		text := min(part, c.left-2)
		c.body = append(c.body, c.in[at:at+max(text, 0)]...)
		at += part
		if c.left -= part; c.left > 0 {
			return false, ""
		}
		c.left = -1
	}
}

// judge tells what is wrong with a complete answer, or "" when it is right.
func (c *loadConn) judge(p *plan) string {
	if c.status != 200 {
		return fmt.Sprintf("status %d", c.status)
	}
	for _, text := range p.expect {
		if !bytes.Contains(c.body, text) {
			return fmt.Sprintf("%q is missing", text)
		}
	}
	if events := bytes.Count(c.body, []byte("\n\n")); events < p.events {
		return fmt.Sprintf("%d of %d events", events, p.events)
	}
	return ""
}
