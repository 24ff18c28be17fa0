package control

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/control/controltest"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// Whatever is at the other end of a control socket, a client gets an answer or an
// error, and soon: it may be a node of another release.
func FuzzClientAnswer(f *testing.F) {
	for _, body := range []string{
		`{"interface":"wg0","peers":[{"public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","endpoint":"192.0.2.1:1","drops":{"x":1}}]}`,
		`[{"public_key":"x"}]`, `{"verdict":{"code":"healthy","fix":null},"ladder":[{"checkpoint":"A1"}]}`, `{"error":"no"}`, `null`, `{`,
		"#lost 0\nline\n#lost 5\n", "M\x02\x00\x00\x00{}L\x02\x00\x00\x00{}", "E\xff\xff\xff\xff", "P\x00\x00\x00\x00",
	} {
		f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"+body), uint8(0))
		f.Add([]byte("HTTP/1.1 500 no\r\n\r\n"+body), uint8(3))
		f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"+body), uint8(5))
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Type: "+framesType+
		"\r\n\r\nW\x0d\x00\x00\x00{\"version\":2}L\x02\x00\x00\x00{}F\x00\x00\x00\x00"), uint8(4))
	dropped, err := recording.AppendDrop(nil, &probe.Event{Time: 1, Kind: probe.KindInner},
		&recording.Drop{KernelDrop: evidence.KernelDrop{Reason: "X"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte("HTTP/1.1 200 OK\r\n\r\nM\x02\x00\x00\x00{}D"), append(binary.LittleEndian.AppendUint32(nil, uint32(len(dropped))),
		dropped...)...), uint8(5))
	f.Add([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\nhello"), uint8(6))
	f.Fuzz(func(t *testing.T, answer []byte, what uint8) {
		dir := t.TempDir()
		l, err := net.Listen("unix", filepath.Join(dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write(answer)
				_ = c.(*net.UnixConn).CloseWrite()
				_ = c.SetReadDeadline(time.Now().Add(time.Minute))
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}
		}()
		c := clientOf("s", filepath.Join(dir, "s"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		switch what % 7 {
		case 0:
			_, err = c.Status(ctx)
		case 1:
			_, err = c.Peers(ctx)
		case 2:
			err = c.Reload(ctx, "", io.Discard)
		case 3:
			_, err = c.Explain(ctx, explain.Request{Target: netip.MustParseAddrPort("192.0.2.1:1")})
		case 4:
			_, err = c.Watch(ctx, WatchRequest{}, &controltest.EventLines{W: io.Discard})
		case 5:
			var out *recording.Output
			if out, err = recording.Create(filepath.Join(dir, "x.pcapng"), recording.OutputOptions{}); err != nil {
				t.Fatal(err)
			}
			_, err = c.Record(ctx, RecordRequest{}, out)
			_ = out.Abort() // it may have none yet
		case 6:
			var conn net.Conn
			if conn, err = c.Connect(ctx, "a:1"); err == nil {
				text, _ := io.ReadAll(conn)
				if !bytes.HasSuffix(answer, text) {
					t.Errorf("%q became %q", answer, text)
				}
				_ = conn.Close()
			}
		}
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q: no end: %v", answer, err)
		}
		_ = l.Close()
		<-served
	})
}
