package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"time"
)

// The mock provider: one thread, epoll, no allocation per request. Each event of a stream is a
// write of its own; with a pace, the events of a `gpt-paced` stream come at that interval.

type mockConn struct {
	fd      int
	in      []byte // received and not yet framed
	reply   reply  // being written; no pieces when idle
	next    int    // index of the piece to write
	offset  int    // bytes of that piece already taken
	blocked bool   // waiting for the socket to take more
	dueAt   time.Time
}

type mock struct {
	poller *poller
	timer  timer
	script *script
	conns  []*mockConn // by file descriptor
	pace   time.Duration
	queue  []*mockConn // paced streams; one interval for all, so the first is due first
	served int
}

func runMock(args []string) {
	flags := flag.NewFlagSet("mock", flag.ExitOnError)
	port := flags.Int("port", 0, "port on 127.0.0.1")
	pace := flags.Duration("pace", 10*time.Millisecond, "interval of events in a gpt-paced stream")
	must(flags.Parse(args), "flags")
	debug.SetGCPercent(-1) // buffers are kept and reused; nothing is allocated per request
	m := &mock{poller: newPoller(), script: newScript(), conns: make([]*mockConn, 4096), pace: *pace}
	m.timer = newTimer(m.poller)
	listener := listen(*port)
	m.poller.add(listener, readable)
	fmt.Println("ready")
	for {
		for _, event := range m.poller.wait() {
			switch fd := int(event.Fd); fd {
			case listener:
				m.accept(listener)
			case m.timer.fd:
				m.timer.clear()
				m.tick()
			default:
				m.serve(m.conns[fd], event.Events)
			}
		}
	}
}

func (m *mock) accept(listener int) {
	for {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if fd >= len(m.conns) {
			fmt.Fprintln(os.Stderr, "mock: too many connections")
			syscall.Close(fd)
			continue
		}
		noDelay(fd)
		if m.conns[fd] == nil {
			m.conns[fd] = &mockConn{in: make([]byte, 0, 64<<10)}
		}
		c := m.conns[fd]
		*c = mockConn{fd: fd, in: c.in[:0]}
		m.poller.add(fd, readable)
	}
}

// serve reads what came, answers every whole request in turn and continues a blocked write.
func (m *mock) serve(c *mockConn, ready uint32) {
	if c == nil || c.fd < 0 {
		return
	}
	if c.blocked && ready&writable != 0 {
		c.blocked = false
		m.poller.change(c.fd, readable)
		m.pump(c)
	}
	if ready&^uint32(writable) == 0 {
		m.answer(c)
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
		m.drop(c)
		return
	}
	c.in = c.in[:len(c.in)+n]
	m.answer(c)
}

// answer takes the next whole request from the buffer when no reply is under way.
func (m *mock) answer(c *mockConn) {
	for c.fd >= 0 && c.reply.pieces == nil {
		found, ok := frameRequest(c.in)
		if !ok {
			return
		}
		if found.bad {
			m.drop(c)
			return
		}
		m.served++
		c.reply = m.script.choose(found.path, found.body)
		if string(found.path) == "/served" {
			c.reply = plainReply("200 OK", fmt.Sprintf(`{"served":%d}`, m.served-1))
		}
		c.in = c.in[:copy(c.in, c.in[found.size:])]
		m.pump(c)
	}
}

// pump writes pieces until the reply is complete, the socket is full or the next one is not due.
func (m *mock) pump(c *mockConn) {
	for c.next < len(c.reply.pieces) {
		piece := c.reply.pieces[c.next][c.offset:]
		n := rawWrite(c.fd, piece)
		if n == -1 {
			n = 0
		}
		if n < 0 {
			m.drop(c)
			return
		}
		if c.offset += n; n < len(piece) {
			c.blocked = true
			m.poller.change(c.fd, readable|writable)
			return
		}
		c.next, c.offset = c.next+1, 0
		if c.reply.paced && c.next < len(c.reply.pieces) {
			m.delay(c)
			return
		}
	}
	c.reply, c.next = reply{}, 0
}

func (m *mock) delay(c *mockConn) {
	c.dueAt = time.Now().Add(m.pace)
	if m.queue = append(m.queue, c); len(m.queue) == 1 {
		m.timer.arm(m.pace)
	}
}

// tick writes the next event of every stream that is due.
func (m *mock) tick() {
	now, due := time.Now(), 0
	for due < len(m.queue) && !m.queue[due].dueAt.After(now) {
		due++
	}
	ready := append([]*mockConn(nil), m.queue[:due]...)
	m.queue = m.queue[:copy(m.queue, m.queue[due:])]
	rest := len(m.queue)
	for _, c := range ready {
		if c.fd >= 0 && c.reply.paced && !c.blocked {
			m.pump(c)
			m.answer(c)
		}
	}
	if rest > 0 {
		m.timer.arm(time.Until(m.queue[0].dueAt))
	}
}

func (m *mock) drop(c *mockConn) {
	syscall.Close(c.fd)
	c.fd, c.reply = -1, reply{}
}
