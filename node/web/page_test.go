package web

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// safeBuffer is a log that is written while it is read.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A real browser shows a hub whose peers fare differently, and what becomes of them, live.
func TestPageOfTunnels(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	if err := s.fetch(); err != nil {
		t.Fatal(err)
	}
	var log safeBuffer
	server, link := s.serve(func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	b := open(t, link)
	b.look(1280, 800, "light")
	if at := eval[string](b, "location.href"); strings.Contains(at, "token") || at != b.origin+server.secrets.base {
		t.Errorf("the browser is at %s", at)
	}
	b.says("tr[data-state=up] a.row", "office")
	b.says("tbody a.row", hostile)
	b.healthyPage()

	// A peer fails while somebody looks, and comes first.
	s.probe("laptop")
	b.says("tbody tr:first-child[data-state=failing] .code", "psk-mismatch")
	b.says("#news", "laptop: ")
	if *pictures != "" { // with some traffic
		for n := 0; n < 15; n = eval[int](b, "document.querySelector('.spark .out').getAttribute('d').split('L').length") {
			if err := s.fetch(); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.picture("web-tunnels")

	b.run(chromedp.Click(chromedp.CSS("tbody tr:first-child a.row")))
	b.says("h1", "laptop")
	b.says(".verdict .code", "psk-mismatch")
	b.says(".ladder .fail .cp", "A3")
	b.says(".ladder .pass .title", "handshake initiation sent")
	b.look(1280, 800, "dark")
	b.picture("web-peer")
	b.healthyPage()

	// The text of a verdict, and back to all by the keyboard.
	b.run(chromedp.Click(chromedp.CSS(".verdict .code")))
	b.says("h2", "How to mend it")
	b.healthyPage()
	b.run(chromedp.KeyEvent("?"))
	b.until("document.getElementById('keys').open")
	b.run(chromedp.KeyEvent(kb.Escape))
	b.until("!document.getElementById('keys').open")
	b.run(chromedp.KeyEvent("g"), chromedp.KeyEvent("t"))
	b.says("tr[data-state=up] a.row", "office")
	b.run(chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter))
	b.says("h1", "laptop")

	// The node goes down, and comes back.
	b.run(chromedp.KeyEvent("g"), chromedp.KeyEvent("t"))
	b.says("tr[data-state=up] a.row", "office")
	s.stop["hub"]()
	b.says(".tunnel .trouble", "not running")
	s.hub = s.start("hub", s.hubs)
	b.says("tbody a.row", "office")
	b.until("!document.querySelector('.tunnel .trouble')")
	b.quiet()
	if strings.Contains(log.String(), server.secrets.token) || strings.Contains(log.String(), server.secrets.session) {
		t.Error("a secret is in the log")
	}
}

// A flow with its ladder, live; an explanation, and a trace with its drawing.
func TestPageFollows(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	if err := s.fetch(); err != nil {
		t.Fatal(err)
	}
	_, link := s.serve(nil)
	b := open(t, link)
	b.look(1280, 800, "dark")
	b.run(chromedp.KeyEvent("g"), chromedp.KeyEvent("f"))
	b.says("tbody button.row", addrOf("office").String()+":80")
	b.healthyPage()
	b.run(chromedp.Click(chromedp.CSS("tbody button.row")))
	b.until("document.querySelectorAll('.ladder.live li.pass').length === 6")
	before := eval[int](b, "document.querySelectorAll('tbody tr').length")
	if err := s.fetch(); err != nil {
		t.Fatal(err)
	}
	b.until(fmt.Sprintf("document.querySelectorAll('tbody tr').length > %d", before))
	b.run(chromedp.KeyEvent("/"), chromedp.KeyEvent("nonsense 1"+kb.Enter))
	b.says(".trouble", "nonsense")
	b.expect("status of 400") // the browser itself tells of the refusal
	b.healthyPage()

	b.view("explain?tunnel=wg-hub")
	b.run(chromedp.SendKeys(chromedp.CSS("input[name=dest]"), addrOf("office").String()+":80"+kb.Enter))
	b.says(".verdict.good .code", "healthy")
	b.says(".ladder .pass .cp", "A6")
	b.healthyPage()

	b.view("trace?tunnel=wg-hub&dest=" + addrOf("office").String() + ":80")
	b.run(chromedp.Click(chromedp.CSS("form button")))
	b.says(".walk .title", "cryptokey routing")
	b.until("document.querySelector('.drawing img').naturalWidth > 100")
	b.healthyPage()
	b.quiet()
}

// Recordings are dropped onto the page, merged, and explained.
func TestPageMerges(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	dir := t.TempDir()
	hub, office := filepath.Join(dir, "hub.pcapng"), filepath.Join(dir, "office.pcapng")
	endHub, endOffice := s.record("wg-hub", hub), s.record("wg-office", office)
	if err := s.fetch(); err != nil {
		t.Fatal(err)
	}
	endHub()
	endOffice()
	_, link := s.serve(func(o *Options) { o.Recordings = []string{hub} })
	b := open(t, link)
	b.look(1280, 800, "dark")
	b.run(chromedp.KeyEvent("g"), chromedp.KeyEvent("r"))
	b.says("tbody a.row", "hub.pcapng")
	b.healthyPage()
	b.run(chromedp.Click(chromedp.CSS("tbody input")))
	content, err := os.ReadFile(office)
	if err != nil {
		t.Fatal(err)
	}
	eval[bool](b, fmt.Sprintf(`(() => {
		const bytes = Uint8Array.from(atob(%q), (c) => c.charCodeAt(0));
		const moved = new DataTransfer();
		moved.items.add(new File([bytes], "<b>office.pcapng"));
		return document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: moved, bubbles: true, cancelable: true }));
	})()`, base64.StdEncoding.EncodeToString(content)))
	b.says("tbody a.row", "<b>office.pcapng")
	b.says(".flow-result .verdict.good .code", "healthy")
	b.says(".ladder .pass .cp", "B7")
	b.until("document.querySelector('.drawing img').naturalWidth > 100")
	b.healthyPage()

	b.run(chromedp.Click(chromedp.CSS("tbody a.row")))
	b.says("details.peer", "office")
	b.run(chromedp.SendKeys(chromedp.CSS("form input"), addrOf("office").String()+":80"+kb.Enter))
	b.says(".verdict.good .code", "healthy")
	b.healthyPage()
	b.quiet()
}
