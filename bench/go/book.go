package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// book gathers what one run of the load generator saw; times are in nanoseconds until printed.
type book struct {
	totals     []int64
	firsts     []int64
	errors     int
	sample     string
	Reconnects int
}

// reserve makes room beforehand, because the collector is off and growth would copy.
func (b *book) reserve(p plan) {
	size := min(p.limit, int(p.period.Seconds()*120_000)+1024, 4_000_000)
	b.totals, b.firsts = make([]int64, 0, size), make([]int64, 0, size)
}

func (b *book) enter(c *loadConn, now time.Time, problem string) {
	if problem != "" {
		if b.errors++; b.sample == "" {
			b.sample = fmt.Sprintf("%s after %d bytes: %s ... %s", problem, len(c.body),
				c.body[:min(len(c.body), 200)], c.body[max(0, len(c.body)-200):])
		}
		return
	}
	b.totals = append(b.totals, int64(now.Sub(c.dueAt)))
	b.firsts = append(b.firsts, int64(c.firstAt.Sub(c.dueAt)))
}

func (b *book) print(elapsed time.Duration, sent, unfinished int) {
	slices.Sort(b.totals)
	slices.Sort(b.firsts)
	report := map[string]any{
		"sent": sent, "ok": len(b.totals), "errors": b.errors, "unfinished": unfinished,
		"error_sample": b.sample, "reconnects": b.Reconnects, "elapsed_s": elapsed.Seconds(),
		"rps":          float64(len(b.totals)) / elapsed.Seconds(),
		"p50_ms":       quantile(b.totals, 0.50),
		"p99_ms":       quantile(b.totals, 0.99),
		"max_ms":       quantile(b.totals, 1),
		"first_p50_ms": quantile(b.firsts, 0.50),
		"first_p99_ms": quantile(b.firsts, 0.99),
	}
	must(json.NewEncoder(os.Stdout).Encode(report), "report")
}

// quantile of a sorted list by nearest rank, in milliseconds; 0 without any.
func quantile(sorted []int64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[at]) / 1e6
}
