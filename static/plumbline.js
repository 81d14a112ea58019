/* What the pages do beyond HTML. Every page works without this file; it is loaded with a nonce and starts nothing inline. */
(() => {
  "use strict";
  const say = (words) => {
    const region = document.getElementById("status");
    if (!region) return;
    region.textContent = "";
    setTimeout(() => { region.textContent = words; }, 50);
  };

  /* Copy buttons show themselves only here, where they work. */
  const prepare = (root) => {
    if (navigator.clipboard) root.querySelectorAll("[data-copy][hidden]").forEach((button) => { button.hidden = false; });
  };

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      await navigator.clipboard.writeText(copy.dataset.copy);
      copy.classList.add("copied");
      say("Copied");
      setTimeout(() => copy.classList.remove("copied"), 1500);
    }
    document.querySelectorAll("details.user-menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });

  /* Submit once: the second click finds the form sent. The server's idempotency key is what makes it safe; this makes it calm. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    form.querySelectorAll("button[data-once]").forEach((button) => button.setAttribute("aria-disabled", "true"));
  });
  /* Coming back to a page from the browser's memory, its forms can be sent again. */
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button[data-once]").forEach((button) => button.removeAttribute("aria-disabled"));
  }));

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll("details.user-menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const search = document.getElementById("site-search");
    if (search) { event.preventDefault(); search.focus(); }
  });

  /* After a swap: focus the error summary or the region's heading, and say what changed. A region that polls keeps quiet. */
  document.addEventListener("htmx:after:swap", (event) => {
    const ctx = event.detail.ctx;
    const target = typeof ctx.target === "string" ? document.querySelector(ctx.target) : ctx.target;
    const region = target && target.id ? document.getElementById(target.id) : target;
    if (!region) return;
    prepare(region.parentElement || region);
    if (ctx.response && ctx.response.status < 400 && region.id !== "page-error") document.getElementById("page-error")?.replaceChildren();
    const polled = (ctx.sourceElement?.getAttribute("hx-trigger") || "").startsWith("every");
    if (polled) return;
    const alarm = region.querySelector("[data-focus]");
    const title = region.querySelector("[data-region-title]");
    (alarm || title)?.focus({ preventScroll: !alarm });
    if (alarm) alarm.scrollIntoView({ block: "center" });
    else if (title) say(region.dataset.changed || `${title.textContent.trim()}: updated`);
  });

  /* No answer at all: say so where errors stand, with a way to try again. */
  document.addEventListener("htmx:error", (event) => {
    const place = document.getElementById("page-error");
    if (!place) return;
    const banner = document.createElement("div");
    banner.className = "banner banner-bad";
    banner.setAttribute("role", "alert");
    banner.tabIndex = -1;
    const words = document.createElement("p");
    words.className = "banner-title";
    words.textContent = place.dataset.lost;
    const again = document.createElement("a");
    again.href = event.detail.ctx?.request?.method === "GET" ? event.detail.ctx.request.action : location.href;
    again.textContent = place.dataset.retry;
    const body = document.createElement("div");
    body.append(words, again);
    banner.append(body);
    place.replaceChildren(banner);
    banner.focus();
  });

  prepare(document);
  document.querySelector("main [data-focus]")?.focus();
})();
