package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// The mock behind TLS: the same script over crypto/tls, one goroutine per connection. It costs
// more than the plain one, so the report shows how busy the gateway's core really was.

func runMockTLS(args []string) {
	flags := flag.NewFlagSet("mocktls", flag.ExitOnError)
	port := flags.Int("port", 0, "port on 127.0.0.1")
	pace := flags.Duration("pace", 10*time.Millisecond, "interval of events in a gpt-paced stream")
	cert := flags.String("cert", "", "certificate file")
	key := flags.String("key", "", "key file")
	must(flags.Parse(args), "flags")
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	must(err, "certificate")
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	listener, err := tls.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)), config)
	must(err, "listen")
	fmt.Println("ready")
	answers := newScript()
	var served atomic.Int64
	for {
		conn, err := listener.Accept()
		must(err, "accept")
		go serveTLS(conn, answers, *pace, &served)
	}
}

func serveTLS(conn net.Conn, answers *script, pace time.Duration, served *atomic.Int64) {
	defer conn.Close()
	in := make([]byte, 0, 64<<10)
	for {
		found, ok := frameRequest(in)
		if !ok {
			if len(in) == cap(in) {
				in = append(in, 0)[:len(in)]
			}
			n, err := conn.Read(in[len(in):cap(in)])
			if err != nil {
				return
			}
			in = in[:len(in)+n]
			continue
		}
		if found.bad {
			return
		}
		answer := answers.choose(found.path, found.body)
		if string(found.path) == "/served" {
			answer = plainReply("200 OK", fmt.Sprintf(`{"served":%d}`, served.Load()))
		} else {
			served.Add(1)
		}
		if !writeAll(conn, answer, pace) {
			return
		}
		in = in[:copy(in, in[found.size:])]
	}
}

func writeAll(conn net.Conn, answer reply, pace time.Duration) bool {
	for i, piece := range answer.pieces {
		if answer.paced && i > 0 {
			time.Sleep(pace)
		}
		if _, err := conn.Write(piece); err != nil {
			return false
		}
	}
	return true
}
