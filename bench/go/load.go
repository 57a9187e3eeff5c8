package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// The load generator: one thread, epoll, keep-alive. Closed loop: each connection sends again as
// soon as it was answered. Open loop: requests leave at a fixed rate and latency counts from the
// moment each was due, so that a gateway which stalls cannot hide it (coordinated omission).

const grace = 5 * time.Second // for answers still under way when the time is up

// plan is what a run sends and what a right answer looks like.
type plan struct {
	address string
	request []byte
	stream  bool
	expect  [][]byte // every one must be in the body; the first marks the first content event
	events  int      // least number of "\n\n" in a streamed body
	conns   int
	rate    float64
	period  time.Duration
	limit   int
}

type load struct {
	plan     plan
	poller   *poller
	timer    timer
	conns    []*loadConn // by file descriptor
	idle     []*loadConn
	opened   int
	start    time.Time
	end      time.Time
	due      int // open loop: requests whose time has come
	sent     int
	underway int
	book     book
}

type headers []string

func (h *headers) String() string     { return strings.Join(*h, "; ") }
func (h *headers) Set(v string) error { *h = append(*h, v); return nil }

func runLoad(args []string) {
	debug.SetGCPercent(-1)
	l := &load{plan: readPlan(args), poller: newPoller(), conns: make([]*loadConn, 8192)}
	l.timer = newTimer(l.poller)
	l.book.reserve(l.plan)
	first := l.plan.conns
	if l.plan.rate > 0 {
		first = min(32, first)
	}
	for range first {
		if c := l.open(); c != nil {
			l.idle = append(l.idle, c)
		}
	}
	if len(l.idle) == 0 {
		fail("nothing listens on %s", l.plan.address)
	}
	l.run()
	l.book.print(time.Since(l.start), l.sent, l.underway)
}

func readPlan(args []string) plan {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	var p plan
	var extra headers
	flags.StringVar(&p.address, "addr", "", "host:port, an IPv4 literal")
	path := flags.String("path", "/", "path of the request")
	body := flags.String("body", "", "file with the request body")
	flags.Var(&extra, "header", "a header line, repeatable")
	flags.BoolVar(&p.stream, "stream", false, "the answer is a stream of events")
	expect := flags.String("expect", "word-01,word-50", "texts that a right body holds")
	flags.IntVar(&p.events, "events", 0, "least number of events in a stream")
	flags.IntVar(&p.conns, "conns", 32, "connections (closed loop), at most so many (open loop)")
	flags.Float64Var(&p.rate, "rate", 0, "requests per second; 0 is a closed loop")
	flags.DurationVar(&p.period, "period", 2*time.Second, "how long to send")
	flags.IntVar(&p.limit, "limit", 5_000_000, "most requests to send")
	must(flags.Parse(args), "flags")
	payload, err := os.ReadFile(*body)
	must(err, "body")
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nhost: %s\r\ncontent-type: application/json\r\n",
		*path, p.address)
	for _, line := range extra {
		head += line + "\r\n"
	}
	head += fmt.Sprintf("content-length: %d\r\n\r\n", len(payload))
	p.request = append([]byte(head), payload...)
	for _, text := range strings.Split(*expect, ",") {
		p.expect = append(p.expect, []byte(text))
	}
	return p
}

// run sends until the period or the limit is over, then waits for what is under way.
func (l *load) run() {
	l.start = time.Now()
	l.end = l.start.Add(l.plan.period)
	if l.plan.rate > 0 {
		l.tick()
	} else {
		l.timer.arm(l.plan.period + grace)
		for _, c := range l.idle {
			l.send(c, time.Now())
		}
		l.idle = nil
	}
	for !l.finished() {
		for _, event := range l.poller.wait() {
			if int(event.Fd) == l.timer.fd {
				l.timer.clear()
				l.tick()
			} else if c := l.conns[event.Fd]; c != nil {
				l.progress(c, event.Events)
			}
		}
	}
}

func (l *load) finished() bool {
	now := time.Now()
	if now.After(l.end.Add(grace)) {
		return true
	}
	over := now.After(l.end) || l.sent >= l.plan.limit
	return l.underway == 0 && over
}

// tick lets every request that is due leave; in a closed loop it only ends the wait.
func (l *load) tick() {
	now := time.Now()
	if l.plan.rate == 0 {
		return
	}
	if now.After(l.end) {
		l.timer.arm(time.Until(l.end.Add(grace)))
		return
	}
	l.due = min(int(now.Sub(l.start).Seconds()*l.plan.rate)+1, l.plan.limit)
	l.release()
	l.timer.arm(time.Until(l.dueAt(l.due)))
}

// dueAt is the moment at which request i (from 0) of an open loop is meant to leave.
func (l *load) dueAt(i int) time.Time {
	return l.start.Add(time.Duration(float64(i) / l.plan.rate * 1e9))
}

// release sends waiting requests while a connection is free or another may be opened.
func (l *load) release() {
	for l.sent < l.due {
		var c *loadConn
		if last := len(l.idle) - 1; last >= 0 {
			c, l.idle = l.idle[last], l.idle[:last]
		} else if l.opened < l.plan.conns {
			c = l.open()
		}
		if c == nil {
			return
		}
		l.send(c, l.dueAt(l.sent))
	}
}

func (l *load) open() *loadConn {
	fd := dial(l.plan.address)
	if fd < 0 {
		return nil
	}
	l.opened++
	c := &loadConn{fd: fd, in: make([]byte, 0, 64<<10), body: make([]byte, 0, 64<<10)}
	l.conns[fd] = c
	l.poller.add(fd, readable)
	return c
}

func (l *load) send(c *loadConn, dueAt time.Time) {
	c.begin(l.plan.request, dueAt)
	l.sent++
	l.underway++
	l.flush(c)
}

func (l *load) flush(c *loadConn) {
	n := rawWrite(c.fd, c.out)
	if n == -2 {
		l.finish(c, "write failed")
		return
	}
	c.out = c.out[max(n, 0):]
	if waits := len(c.out) > 0; waits != c.waits {
		c.waits = waits
		interest := uint32(readable)
		if waits {
			interest |= writable
		}
		l.poller.change(c.fd, interest)
	}
}

// progress handles readiness of one connection.
func (l *load) progress(c *loadConn, ready uint32) {
	if c.waits && ready&writable != 0 {
		l.flush(c)
	}
	if ready&^uint32(writable) == 0 || c.fd < 0 {
		return
	}
	if len(c.in) == cap(c.in) {
		c.in = append(c.in, 0)[:len(c.in)]
	}
	n := rawRead(c.fd, c.in[len(c.in):cap(c.in)])
	if n == -1 {
		return
	}
	if n <= 0 {
		l.gone(c)
		return
	}
	if !c.busy {
		l.gone(c) // bytes that nobody asked for
		return
	}
	c.in = c.in[:len(c.in)+n]
	done, problem := c.decode()
	if c.firstAt.IsZero() && bytes.Contains(c.body, l.plan.expect[0]) {
		c.firstAt = time.Now()
	}
	if problem != "" || done {
		l.finish(c, problem)
	}
}

// gone handles a connection that the other side ended.
func (l *load) gone(c *loadConn) {
	switch {
	case c.busy && c.untilEOF && c.headDone:
		c.close = true
		l.finish(c, "")
	case c.busy:
		l.finish(c, "connection ended inside an answer")
	default:
		for i, other := range l.idle {
			if other == c {
				l.idle = append(l.idle[:i], l.idle[i+1:]...)
				break
			}
		}
		l.replace(c)
	}
}

// finish books one answer and lets the connection, or a new one, send the next request.
func (l *load) finish(c *loadConn, problem string) {
	now := time.Now()
	if problem == "" {
		problem = c.judge(&l.plan)
	}
	l.book.enter(c, now, problem)
	c.busy = false
	l.underway--
	if c.close || problem != "" {
		if c = l.replace(c); c == nil {
			return
		}
	}
	if l.plan.rate > 0 {
		l.idle = append(l.idle, c)
		if now.Before(l.end) {
			l.release()
		}
	} else if now.Before(l.end) && l.sent < l.plan.limit {
		l.send(c, now)
	}
}

// replace closes a connection and opens another in its place.
func (l *load) replace(c *loadConn) *loadConn {
	l.conns[c.fd] = nil
	syscall.Close(c.fd)
	c.fd = -1
	l.opened--
	l.book.Reconnects++
	return l.open()
}
