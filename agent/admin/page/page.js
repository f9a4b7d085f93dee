// Keeps the page at the present: /live sends the parts that have changed.
"use strict";
(() => {
  const said = document.getElementById("live");
  const at = document.getElementById("at");
  const title = document.title;
  const parts = ["verdict", "now", "charts", "files", "inputs", "kafka", "letters", "errors", "agent"];
  const patience = 15000; // milliseconds without an event after which the page counts as old
  let source = null;
  let heard = Date.now();
  let words = "";

  // say changes what screen readers announce, only when there is news.
  function say(text, stale) {
    if (text === words) return;
    words = text;
    said.textContent = text;
    document.body.classList.toggle("stale", stale);
  }

  // morph makes the children of an element those of another, and leaves alone what
  // is as it should be: focus, selection and opened details stay.
  function morph(to, from) {
    let here = to.firstChild;
    for (const want of [...from.childNodes]) {
      if (want.id) {
        const same = [...to.children].find((c) => c.id === want.id);
        if (same && same !== here) {
          to.insertBefore(same, here);
          here = same;
        }
      }
      if (here && here.nodeName === want.nodeName && (here.id || "") === (want.id || "")) {
        if (here.nodeType === Node.TEXT_NODE) {
          if (here.data !== want.data) here.data = want.data;
        } else if (here.nodeType === Node.ELEMENT_NODE) {
          attributes(here, want);
          morph(here, want);
        }
        here = here.nextSibling;
      } else {
        to.insertBefore(document.importNode(want, true), here);
      }
    }
    while (here) {
      const next = here.nextSibling;
      here.remove();
      here = next;
    }
  }

  function attributes(to, from) {
    for (const a of [...from.attributes]) {
      if (to.getAttribute(a.name) !== a.value) to.setAttribute(a.name, a.value);
    }
    for (const a of [...to.attributes]) {
      const own = to.nodeName === "DETAILS" && a.name === "open"; // the reader's
      if (!own && !from.hasAttribute(a.name)) to.removeAttribute(a.name);
    }
  }

  function update(name, html) {
    const part = document.getElementById("live-" + name);
    morph(part, new DOMParser().parseFromString(html, "text/html").body);
    if (name === "verdict") {
      const state = part.firstElementChild.dataset.state;
      document.getElementById("icon").href = "/page/" + state + ".svg";
      document.title = (state === "good" ? "" : "(!) ") + title;
    }
  }

  function connect() {
    source = new EventSource("/live" + location.search);
    for (const name of parts) {
      source.addEventListener(name, (e) => update(name, e.data));
    }
    source.addEventListener("at", (e) => {
      heard = Date.now();
      at.textContent = e.data;
      say("Live,", false);
    });
    source.addEventListener("error", () => {
      lost();
      if (source.readyState === EventSource.CLOSED) { // it was refused, and is not tried again by itself
        source.close();
        setTimeout(connect, 10000);
      }
    });
  }

  function lost() {
    say("No answer: this page is old, and asks again. As of", true);
  }

  setInterval(() => {
    if (Date.now() - heard > patience) lost();
  }, 1000);
  connect();
})();
