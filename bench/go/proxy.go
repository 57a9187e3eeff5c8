package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"sync"
)

// The yardstick: what a careful Go programmer writes in an hour. httputil.ReverseProxy with
// immediate flushing, a pool that keeps every connection, HTTP/1.1 on both sides, no features.

// runProxy serves two upstreams: paths under /tls go to the TLS one, all others to the plain one.
func runProxy(args []string) {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	port := flags.Int("port", 0, "port on 127.0.0.1")
	plain := flags.String("plain", "", "base URL of the plain upstream")
	secure := flags.String("secure", "", "base URL of the TLS upstream")
	authority := flags.String("ca", "", "certificate authority of the TLS upstream")
	must(flags.Parse(args), "flags")
	mux := http.NewServeMux()
	mux.Handle("/tls/", http.StripPrefix("/tls", newProxy(*secure, *authority)))
	mux.Handle("/", newProxy(*plain, ""))
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)))
	must(err, "listen")
	fmt.Println("ready")
	must((&http.Server{Handler: mux}).Serve(listener), "serve")
}

func newProxy(base, authority string) *httputil.ReverseProxy {
	target, err := url.Parse(base)
	must(err, "upstream")
	transport := &http.Transport{
		MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true,
	}
	if authority != "" {
		text, err := os.ReadFile(authority)
		must(err, "authority")
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			fail("no certificate in %s", authority)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		BufferPool:    &buffers{sync.Pool{New: func() any { return make([]byte, 32<<10) }}},
	}
}

// buffers keeps copy buffers between requests; without it each reply costs 32 kB of garbage.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte       { return b.pool.Get().([]byte) }
func (b *buffers) Put(buffer []byte) { b.pool.Put(buffer) }
