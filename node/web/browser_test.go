package web

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

var pictures = flag.String("web.pictures", "", "write pictures of the page into this folder")

// browser is a page in a real browser. What it should not do is noted: errors on the console, and
// requests to elsewhere.
type browser struct {
	t      testing.TB
	ctx    context.Context
	origin string

	mu    sync.Mutex
	wrong []string // guarded by mu
}

// open opens a link in a browser of its own.
func open(t testing.TB, link string) *browser {
	t.Helper()
	lab.Need(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	b := &browser{t: t, origin: originOf(t, link)}
	ctx, closed := chromedp.NewContext(ctx, chromedp.WithListener(b.listen))
	b.ctx = ctx
	t.Cleanup(closed)
	b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		if err == nil {
			_, err = cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		}
		return err
	}), chromedp.Navigate(link))
	return b
}

// listen takes the events of the page.
func (b *browser) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, fmt.Sprintf("exception: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		b.wrong = append(b.wrong, fmt.Sprintf("console.%s", e.Type))
	case *log.EventEntryAdded:
		b.wrong = append(b.wrong, fmt.Sprintf("log: %s %s", e.Entry.Text, e.Entry.URL))
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, b.origin+"/") && !strings.HasPrefix(u, "data:") {
			b.wrong = append(b.wrong, "a request to "+u)
		}
	}
}

// quiet fails the test if the page did what it should not.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wrong {
		b.t.Errorf("the page: %s", w)
	}
	b.wrong = nil
}

// expect has the page have done a thing that it should not, and once.
func (b *browser) expect(what string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.wrong, func(w string) bool { return strings.Contains(w, what) })
	if i < 0 {
		b.t.Errorf("%q did not happen", what)
		return
	}
	b.wrong = slices.DeleteFunc(b.wrong, func(w string) bool { return strings.Contains(w, what) })
}

// healthyPage wants what holds for all views: nothing is wider than a phone, what can be used has a
// name for those who do not see it, and tables and images say what they are.
func (b *browser) healthyPage() {
	b.t.Helper()
	const nameless = `[..."input select button img table section svg[role=img]".split(" ")]
		.flatMap((what) => [...document.querySelectorAll("main " + what)])
		.filter((e) => !e.closest("[hidden]") && !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length || e.alt))
		.map((e) => e.outerHTML.slice(0, 200)).join("\n")`
	if names := eval[string](b, nameless); names != "" {
		b.t.Errorf("at %s without a name:\n%s", eval[string](b, "location.pathname"), names)
	}
	for _, width := range []int64{360, 1280} {
		b.run(chromedp.EmulateViewport(width, 800))
		if n := eval[int64](b, "document.documentElement.scrollWidth"); n > width {
			b.t.Errorf("at %s it is %d pixels wide on a screen of %d: %s", eval[string](b, "location.pathname"), n, width, eval[string](b,
				`[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll"))
					.map((e) => e.outerHTML.slice(0, 120)).join("\n")`))
		}
	}
}

func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval evaluates an expression in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits until an expression is true in the page.
func (b *browser) until(expression string) {
	b.t.Helper()
	patience.See(b.t, expression, func() (string, bool) {
		// While it goes from page to page there is nothing to ask.
		if v, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression)); err == nil && v {
			return "", true
		}
		seen, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		return seen, false
	})
}

// says waits until an element has a text in it.
func (b *browser) says(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("[...document.querySelectorAll(%q)].some((e) => e.textContent.includes(%q))", selector, text))
}

// view has the page be the view at an address below its base.
func (b *browser) view(address string) {
	b.t.Helper()
	b.run(chromedp.Navigate(eval[string](b, fmt.Sprintf("new URL(%q, location.href).href", address))))
}

// look sets what the reader has: a screen of that size, and a preference of dark or light.
func (b *browser) look(width, height int64, scheme string) {
	b.t.Helper()
	b.run(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	}))
}

// picture writes what is seen into a file, if pictures are wanted.
func (b *browser) picture(name string) {
	b.t.Helper()
	if *pictures == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(*pictures, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
