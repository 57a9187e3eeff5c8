package main

import (
	"net"
	"syscall"
	"time"
	"unsafe"
)

// Raw system calls without the scheduler's entry and exit: the mock and the load generator are
// one goroutine each and never need Go's own poller, which costs more than the work they do.

const (
	readable = syscall.EPOLLIN
	writable = syscall.EPOLLOUT
)

// poller is an epoll set whose events carry file descriptors.
type poller struct {
	fd     int
	events [256]syscall.EpollEvent
}

func newPoller() *poller {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	must(err, "epoll_create1")
	return &poller{fd: fd}
}

func (p *poller) add(fd int, interest uint32) {
	event := syscall.EpollEvent{Events: interest, Fd: int32(fd)}
	must(syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &event), "epoll add")
}

func (p *poller) change(fd int, interest uint32) {
	event := syscall.EpollEvent{Events: interest, Fd: int32(fd)}
	must(syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &event), "epoll change")
}

// wait blocks until something is ready and returns the ready events.
func (p *poller) wait() []syscall.EpollEvent {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd),
			uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), ^uintptr(0), 0, 0)
		if errno == 0 {
			return p.events[:n]
		}
		if errno != syscall.EINTR {
			fail("epoll_pwait: %v", errno)
		}
	}
}

// timer is a timerfd on the monotonic clock; it wakes the poller without a time-out argument.
type timer struct{ fd int }

func newTimer(p *poller) timer {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, 1, syscall.O_NONBLOCK, 0)
	if errno != 0 {
		fail("timerfd_create: %v", errno)
	}
	p.add(int(fd), readable)
	return timer{int(fd)}
}

// arm sets the timer to fire once after the wait (at least one nanosecond).
func (t timer) arm(wait time.Duration) {
	spec := [4]int64{0, 0, 0, max(1, int64(wait))}
	spec[2], spec[3] = spec[3]/1e9, spec[3]%1e9
	_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(t.fd), 0,
		uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if errno != 0 {
		fail("timerfd_settime: %v", errno)
	}
}

// clear reads the count of expirations so that the descriptor is no longer ready.
func (t timer) clear() {
	var count [8]byte
	rawRead(t.fd, count[:])
}

// rawRead returns the number of bytes read, 0 at the end of the stream, -1 when it would block
// and -2 on any other error.
func rawRead(fd int, into []byte) int {
	return rawTransfer(syscall.SYS_READ, fd, into)
}

// rawWrite returns the number of bytes taken, -1 when it would block, -2 on any other error.
func rawWrite(fd int, from []byte) int {
	return rawTransfer(syscall.SYS_WRITE, fd, from)
}

func rawTransfer(call uintptr, fd int, buffer []byte) int {
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)))
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return -1
		default:
			return -2
		}
	}
}

// listen opens a non-blocking TCP listener on 127.0.0.1.
func listen(port int) int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|
		syscall.SOCK_CLOEXEC, 0)
	must(err, "socket")
	must(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1), "SO_REUSEADDR")
	must(syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}), "bind")
	must(syscall.Listen(fd, 1024), "listen")
	return fd
}

// dial connects to host:port (IPv4 literal) and returns a non-blocking descriptor, or -1.
func dial(address string) int {
	resolved, err := net.ResolveTCPAddr("tcp4", address)
	must(err, "address")
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(err, "socket")
	peer := &syscall.SockaddrInet4{Port: resolved.Port}
	copy(peer.Addr[:], resolved.IP.To4())
	if syscall.Connect(fd, peer) != nil {
		syscall.Close(fd)
		return -1
	}
	noDelay(fd)
	must(syscall.SetNonblock(fd, true), "nonblock")
	return fd
}

// noDelay turns Nagle's algorithm off: every event is its own segment, as at a real provider.
func noDelay(fd int) {
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
}
