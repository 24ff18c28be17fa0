package netstack_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/tunnel/netstack"
)

// slowServer answers each question after a second, and counts them.
func slowServer(t *testing.T, asked *atomic.Int32) *netstack.Resolver {
	return &netstack.Resolver{
		Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.53:53")},
		Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				buf := make([]byte, 512)
				n, err := far.Read(buf)
				if err != nil {
					return // whoever asked is gone
				}
				asked.Add(1)
				time.Sleep(time.Second)
				var m dnsmessage.Message
				if err := m.Unpack(buf[:n]); err != nil {
					t.Error(err)
					return
				}
				m.Response = true
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET},
					Body: &dnsmessage.AResource{A: [4]byte{10, 0, 0, 2}}}}
				if reply, err := m.Pack(); err == nil {
					_, _ = far.Write(reply) // whoever asked may be gone
				}
			}()
			return near, nil
		},
	}
}

// Who asks what is being asked already gets the same answer.
func TestSameQuestionIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		r := slowServer(t, &asked)
		for round := range int32(2) { // what was answered is asked anew
			var wg sync.WaitGroup
			for i := range 100 {
				wg.Go(func() {
					got, err := r.LookupNetIP(t.Context(), "ip4", []string{"web.example", "WEB.example."}[i%2])
					if err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("10.0.0.2") {
						t.Errorf("%v, %v", got, err)
					}
				})
			}
			wg.Wait()
			if n := asked.Load(); n != round+1 {
				t.Errorf("asked %d times in %d rounds", n, round+1)
			}
		}
	})
}

// One who gives up takes the answer from nobody else; when all have, so does the
// question.
func TestSharedQuestionOutlivesItsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		r := slowServer(t, &asked)
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := r.LookupNetIP(short, "ip4", "web.example"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first one: %v", err)
			}
		})
		wg.Go(func() {
			time.Sleep(10 * time.Millisecond)
			if got, err := r.LookupNetIP(t.Context(), "ip4", "web.example"); err != nil || len(got) != 1 {
				t.Errorf("the second one: %v, %v", got, err)
			}
		})
		wg.Wait()
		if _, err := r.LookupNetIP(short, "ip4", "web.example"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("too late: %v", err)
		}
		if _, err := r.LookupNetIP(t.Context(), "ip4", "web.example"); err != nil {
			t.Errorf("after all had given up: %v", err)
		}
	})
}
