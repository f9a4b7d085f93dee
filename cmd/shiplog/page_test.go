package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/twmb/franz-go/pkg/kfake"
)

// browser is a headless Chromium that keeps what a page does beside showing
// itself.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	messages []string // of its console: warnings, errors, exceptions
	asked    []string // addresses of its requests
}

// newBrowser starts one; it skips the test where there is none, but for the
// continuous integration.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	switch {
	case path != "":
	case os.Getenv("CI") == "true":
		t.Fatal("no Chromium: install the package chromium")
	default:
		t.Skip("NO CHROMIUM: the status page is not tested in a browser; install the package chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.DisableGPU)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocated, free := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(free)
	ctx, _ := chromedp.NewContext(allocated)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Log(err)
		}
	})
	b.call(func(ctx context.Context) error { return call(ctx, network.Enable, network.EnableParams{}) })
	b.call(func(ctx context.Context) error { return call(ctx, log.Enable, cdp.Empty{}) })
	return b
}

func (b *browser) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *cdpruntime.EventConsoleAPICalled:
		b.messages = append(b.messages, fmt.Sprintf("%s: %+v", e.Type, e.Args))
	case *cdpruntime.EventExceptionThrown:
		b.messages = append(b.messages, fmt.Sprintf("%+v", e.ExceptionDetails))
	case *log.EventEntryAdded:
		b.messages = append(b.messages, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	}
}

// call does something in the browser, in bounded time.
func (b *browser) call(f func(context.Context) error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Minute)
	defer cancel()
	if err := f(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// call sends a command that answers nothing.
func call[P any](ctx context.Context, c cdp.Command[P, cdp.Empty], params P) error {
	_, err := chromedp.Call(ctx, c, params)
	return err
}

func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.call(func(ctx context.Context) error { return chromedp.Do(ctx, steps...) })
}

// do evaluates JavaScript for its effect.
func (b *browser) do(script string) { b.t.Helper(); b.run(chromedp.Evaluate[chromedp.Void](script)) }

// js returns what an expression of JavaScript comes to.
func js[T any](b *browser, expression string) (out T) {
	b.t.Helper()
	b.call(func(ctx context.Context) (err error) {
		out, err = chromedp.Run(ctx, chromedp.Evaluate[T](expression))
		return err
	})
	return out
}

// scripts switches the page's JavaScript on or off.
func (b *browser) scripts(on bool) {
	b.t.Helper()
	b.call(func(ctx context.Context) error {
		return call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
	})
}

// quiet fails if the console has said anything or anything but base was asked.
func (b *browser) quiet(base string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		b.t.Errorf("console: %s", m)
	}
	for _, u := range b.asked {
		if !strings.HasPrefix(u, base) {
			b.t.Errorf("the page asks for %s", u)
		}
	}
	if len(b.asked) < 4 {
		b.t.Errorf("requests seen: %v", b.asked)
	}
}

// look sets size and colours, and takes a picture of the whole page for a
// reviewer who wants some: make screenshots.
func (b *browser) look(name string, width int64, scheme string) {
	b.t.Helper()
	b.run(chromedp.EmulateViewport(width, 900))
	b.call(func(ctx context.Context) error {
		return call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	})
	if over := js[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
		b.t.Errorf("%s: %d pixels of the page lie beside the window", name, over)
	}
	if faint := js[[]string](b, faintTexts); len(faint) > 0 {
		b.t.Errorf("%s: too little contrast: %s", name, strings.Join(faint, "; "))
	}
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	var png []byte
	b.call(func(ctx context.Context) (err error) {
		png, err = chromedp.Run(ctx, chromedp.FullScreenshot(100))
		return err
	})
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// faintTexts lists texts whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3).
const faintTexts = `(() => {
  const rgb = (c) => c.match(/[\d.]+/g).map(Number);
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const out = [];
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("svg, noscript") || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(back(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) out.push(e.textContent.slice(0, 40) + " " + ratio.toFixed(2));
  }
  return out;
})()`

// testPage looks at the status page of the built binary in a browser.
func testPage(t *testing.T, binary string) {
	t.Parallel()
	b := newBrowser(t)
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	e := newE2E(t, binary, kafka.ListenAddrs()[0])
	evil := "<img src=x onerror=alert(1)>'\"&.log"
	if runtime.GOOS == "windows" {
		evil = "&amp;#39;.log"
	}
	e.append(evil, "one\ntwo\n")
	e.append("a b.log", strings.Repeat("a line of a log\n", 1000))
	for i := range 12 {
		e.append(fmt.Sprintf("service-%02d.log", i), strings.Repeat(`{"message":"m","payload":{"application":"A","params":{}}}`+"\n", 50*i+1))
	}
	p, said := e.background("run", "--config", e.config)
	var base string
	e.wait("the admin address", func() bool {
		if m := regexp.MustCompile(`admin=(\S+:\d+)`).FindStringSubmatch(said()); m != nil {
			base = "http://" + m[1]
		}
		return base != ""
	})
	contains := func(selector, text string) func() bool {
		return func() bool {
			return js[bool](b, fmt.Sprintf("[...document.querySelectorAll(%q)].some((e) => e.textContent.includes(%q))", selector, text))
		}
	}
	b.look("", 1280, "light")
	b.run(chromedp.Navigate(base + "/"))
	b.do("window.loadedOnce = true")
	e.wait("the page to say that all is well", contains("h1", "Shipping: all is well."))
	e.wait("the page to be live", contains("#live", "Live"))
	e.wait("the evil name", contains("#live-files th", filepath.Base(evil)[:8]))
	e.wait("a name with a blank", contains("#live-files th", `a b.log"`))
	e.wait("the brokers", contains("#live-kafka th", e.broker))
	e.wait("the configuration", contains("#live-agent pre", "checkpoint_interval: 1s"))
	if n := js[int](b, "document.images.length"); n != 0 {
		t.Errorf("%d images: a name became an element", n)
	}
	testStructure(b)

	e.append("a b.log", strings.Repeat("another line\n", 2345))
	e.wait("the page to follow", contains("#live-inputs td", "6,659")) // lines
	testKeys(b)
	for _, scheme := range []string{"light", "dark"} {
		b.look("wide-"+scheme, 1280, scheme)
		b.look("narrow-"+scheme, 360, scheme)
	}
	b.look("middle", 800, "light")
	b.run(chromedp.EmulateViewport(1280, 900))

	kafka.Close()
	e.append("a b.log", strings.Repeat("a line that waits\n", 4000))
	e.wait("the page to say that nothing is shipped", contains("h1", "Not shipping"))
	e.wait("the broker to be named", contains("#live-verdict li", e.broker))
	if title := js[string](b, "document.title"); !strings.HasPrefix(title, "(!)") {
		t.Errorf("title %q", title)
	}
	b.look("outage-light", 1280, "light")
	b.look("outage-dark", 1280, "dark")
	if !js[bool](b, "window.loadedOnce === true") {
		t.Error("the page was loaded again")
	}

	b.scripts(false)
	b.run(chromedp.Navigate(base + "/?match=service&sort=size"))
	b.scripts(true) // for what follows to be evaluated; the page has run none
	if !contains("#live-files p", "12 files that match, of 14, the largest first.")() || !contains("#live", "As of")() || !contains("h1", "Not shipping")() {
		t.Errorf("without JavaScript: %s", js[string](b, "document.body.innerText"))
	}
	b.quiet(base)

	b.run(chromedp.Navigate(base + "/"))
	e.wait("the page to be live again", contains("#live", "Live"))
	if err := p.Stop(stopGrace); err != nil {
		t.Error(err)
	}
	e.wait("the page to say that it is old", contains("#live", "No answer"))
	b.look("no-answer", 1280, "light")
}

// testStructure looks at what assistive technology goes by.
func testStructure(b *browser) {
	b.t.Helper()
	for what, count := range map[string]string{
		"headings of the first level other than one": "Math.abs(document.querySelectorAll('h1').length - 1)",
		"header cells without scope":                 "document.querySelectorAll('th:not([scope])').length",
		"tables without caption":                     "[...document.querySelectorAll('table')].filter((t) => !t.caption).length",
		"fields without label":                       "[...document.querySelectorAll('input:not([type=hidden]), select')].filter((i) => !i.labels.length).length",
		"regions without name":                       "[...document.querySelectorAll('section')].filter((s) => !document.getElementById(s.getAttribute('aria-labelledby'))).length",
		"pictures without name":                      "[...document.querySelectorAll('svg')].filter((s) => !s.ariaHidden && !s.ariaLabel).length",
		"landmarks missing":                          "['main', 'header', 'nav', 'footer'].filter((n) => !document.querySelector(n)).length",
		"ids that are there twice":                   "(() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.length - new Set(ids).size; })()",
		"live regions missing":                       "document.querySelector('[aria-live=polite] h1') && document.querySelector('[role=status]') ? 0 : 1",
	} {
		if n := js[int](b, count); n != 0 {
			b.t.Errorf("%d %s", n, what)
		}
	}
}

// testKeys goes through the page by keyboard; what is updated meanwhile keeps the
// focus, and details that were opened stay open.
func testKeys(b *browser) {
	b.t.Helper()
	b.do("document.activeElement.blur()")
	b.run(chromedp.KeyEvent("\t"))
	if at := js[string](b, "document.activeElement.className"); at != "skip" {
		b.t.Errorf("the first tab leads to %q", at)
	}
	if outline := js[string](b, "getComputedStyle(document.activeElement).outlineStyle"); outline == "none" {
		b.t.Error("the focus does not show")
	}
	b.do("document.querySelector('#live-files tbody a').focus(); document.querySelector('#live-agent details').open = true")
	was := js[string](b, "document.getElementById('live-now').textContent")
	for end := time.Now().Add(time.Minute); js[string](b, "document.getElementById('live-now').textContent") == was; {
		if time.Now().After(end) {
			b.t.Fatal("nothing is updated")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !js[bool](b, "document.activeElement.closest('#live-files tbody') !== null && document.querySelector('#live-agent details').open") {
		b.t.Error("an update moved the focus, or closed what was open")
	}
	b.do("document.querySelector('#live-agent details').open = false; document.activeElement.blur(); scrollTo(0, 0)")
}
