// Command tool holds the four programs of the benchmark that must not be the bottleneck:
// a mock provider, a load generator, the bare reverse proxy that every ratio refers to,
// and a maker of test certificates. One binary, so that one build serves a whole run.
package main

import (
	"fmt"
	"os"
)

func main() {
	programs := map[string]func([]string){
		"mock": runMock, "mocktls": runMockTLS, "load": runLoad, "proxy": runProxy, "cert": runCert,
	}
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fail("usage: tool mock|mocktls|load|proxy|cert [flags]")
	}
	programs[os.Args[1]](os.Args[2:])
}

// fail ends the program with one sentence on stderr.
func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "tool: "+format+"\n", values...)
	os.Exit(1)
}

// must ends the program when err is set, naming what was attempted.
func must(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}
