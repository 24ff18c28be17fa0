//go:build linux

package kernelwg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/kerneltunnel"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/trace"
	"github.com/wgnode/wgnode/probe"
)

// question is what the test's program asks on a host, of its wg0. It is started a second time
// for that: who watches a device stays in its network. It watches until it has no more questions,
// since to begin takes a kernel a while.
type question struct {
	Explain *explain.Request       `json:"explain,omitempty"`
	Doctor  *explain.DoctorRequest `json:"doctor,omitempty"`
	Trace   *trace.Request         `json:"trace,omitempty"`
}

// reply is the answer, and a failure if there is none.
type reply struct {
	Answer json.RawMessage `json:"answer"`
	Failed string          `json:"failed"`
}

// asking is the environment variable that says at which level is asked.
const asking = "WGNODE_LAB_LEVEL"

func TestMain(m *testing.M) {
	level := os.Getenv(asking)
	if level == "" {
		os.Exit(m.Run())
	}
	if err := serve(probe.Level(level)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers the questions that come on standard input.
func serve(level probe.Level) error {
	t, err := kerneltunnel.OpenAt(level, "wg0")
	if err != nil {
		return err
	}
	defer t.Close()
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for err = out.Encode(reply{}); err == nil; {
		var q question
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return t.Close()
		} else if err != nil {
			return err
		}
		var r reply
		a, failed := q.answer(t)
		if failed != nil {
			r.Failed = failed.Error()
		} else if r.Answer, err = json.Marshal(a); err != nil {
			return err
		}
		err = out.Encode(r)
	}
	return err
}

func (q *question) answer(t *kerneltunnel.Tunnel) (any, error) {
	switch ctx := context.Background(); {
	case q.Explain != nil:
		return explain.Explain(ctx, t.Subject(), *q.Explain)
	case q.Doctor != nil:
		return explain.Doctor(ctx, t.Subject(), *q.Doctor)
	default:
		return trace.Run(ctx, t.Subject(), *q.Trace)
	}
}

// asker asks on a host, one question at a time.
type asker struct {
	in  *json.Encoder
	out *json.Decoder
}

// watcher begins to watch a host's wg0 at a level.
func watcher(t *testing.T, h *lab.Host, level probe.Level) *asker {
	t.Helper()
	c := h.Command(t.Context(), "/proc/self/exe")
	c.Env = append(os.Environ(), asking+"="+string(level))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Wait()
	})
	a := &asker{json.NewEncoder(in), json.NewDecoder(out)}
	if err := a.out.Decode(new(reply)); err != nil {
		t.Fatalf("watch %s at level %s: %v", h.Name(), level, err)
	}
	return a
}

// ask asks a question. The function that it returns awaits the answer.
func ask[T any](t *testing.T, a *asker, q question) (await func() *T) {
	t.Helper()
	if err := a.in.Encode(q); err != nil {
		t.Fatal(err)
	}
	return func() *T {
		t.Helper()
		var r reply
		err := a.out.Decode(&r)
		to := new(T)
		if err == nil && r.Failed == "" {
			err = json.Unmarshal(r.Answer, to)
		}
		if err != nil || r.Failed != "" {
			t.Fatalf("%v %s", err, r.Failed)
		}
		return to
	}
}
