/* What the pages do beyond HTML. Every page works without this file; it is loaded with a nonce and starts nothing inline. */
(() => {
  "use strict";
  const announced = new Map();
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
  const closeMenus = (except) => document.querySelectorAll("details.user-menu[open]").forEach((menu) => {
    if (!except || !menu.contains(except)) menu.open = false;
  });

  document.addEventListener("click", async (event) => {
    closeMenus(event.target);
    const copy = event.target.closest("[data-copy]");
    if (!copy) return;
    try {
      await navigator.clipboard.writeText(copy.dataset.copy);
      copy.classList.add("copied");
      say("Copied");
      setTimeout(() => copy.classList.remove("copied"), 1500);
    } catch { say("Not copied: the browser refused"); }
  });
  document.addEventListener("focusin", (event) => closeMenus(event.target));

  /* Errors stand in one place above a page that keeps what it shows and what was typed. */
  const complain = (words, { again = null, hint = "", focus = true } = {}) => {
    const place = document.getElementById("page-error");
    if (!place || (!focus && place.hasChildNodes())) return;
    const banner = document.createElement("div");
    banner.className = "banner banner-bad";
    banner.setAttribute("role", "alert");
    banner.tabIndex = -1;
    const body = document.createElement("div");
    const line = (text, name) => {
      const words = document.createElement("p");
      words.className = name;
      words.textContent = text;
      body.append(words);
      return words;
    };
    line(words, "banner-title");
    if (again) {
      const link = document.createElement("a");
      link.href = again;
      link.textContent = place.dataset.retry;
      line("", "").append(link);
    }
    if (hint) line(hint, "hint");
    banner.append(body);
    place.replaceChildren(banner);
    if (focus) { banner.focus({ preventScroll: true }); banner.scrollIntoView({ block: "center" }); }
  };
  const words = (name) => document.getElementById("page-error")?.dataset[name] || "";
  const isPoll = (ctx) => (ctx?.sourceElement?.getAttribute("hx-trigger") || "").startsWith("every");
  const isGet = (ctx) => ctx?.request?.method === "GET";

  /* Submit once: the second click finds the form sent. The server's idempotency key is what makes it safe; this makes it calm.
     After half a minute without an answer the form can be sent again, and the page says so. */
  const release = (form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button[data-once]").forEach((button) => button.removeAttribute("aria-disabled"));
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.hasAttribute("hx-post") || form.hasAttribute("hx-get")) return;
    if (navigator.onLine === false) { event.preventDefault(); complain(words("offline")); return; }
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    form.querySelectorAll("button[data-once]").forEach((button) => button.setAttribute("aria-disabled", "true"));
    setTimeout(() => { if (form.dataset.sent) { release(form); complain(words("slow")); } }, 30000);
  });
  /* Coming back to a page from the browser's memory, its forms can be sent again. */
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(release));

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll("details.user-menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const search = document.getElementById("site-search");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  });

  /* While a region is asked for it says that it is busy; nothing spins, and it ends whatever the answer. */
  const busy = (event, on) => {
    const target = event.detail.ctx?.target;
    if (!target?.id || isPoll(event.detail.ctx)) return;
    const region = document.getElementById(target.id);
    if (on) region?.setAttribute("aria-busy", "true"); else region?.removeAttribute("aria-busy");
  };
  document.addEventListener("htmx:before:request", (event) => busy(event, true));
  document.addEventListener("htmx:finally:request", (event) => busy(event, false));

  /* A failure that is not our own page (a proxy's, a crash's) never replaces a region; ours says where it goes. A region that polls
     complains once and keeps asking. */
  document.addEventListener("htmx:before:response", (event) => {
    const { ctx } = event.detail;
    const { status, headers } = ctx.response;
    if (status < 400 || headers.get("HX-Redirect")) return;
    const isOurs = headers.get("HX-Retarget") || (status < 500 && headers.get("X-Request-ID"));
    if (isOurs && !isPoll(ctx)) return;
    event.preventDefault();
    const id = headers.get("X-Request-ID");
    complain(words("lost"), { again: isGet(ctx) ? ctx.request.action : null, hint: id ? `Request ${id}` : `Status ${status}`, focus: !isPoll(ctx) });
  });

  /* After a swap: focus the error summary or the region's heading, and say what changed. A region that polls keeps the focus where
     it is and speaks only when its announcement is a new one. */
  document.addEventListener("htmx:after:swap", (event) => {
    const { ctx } = event.detail;
    const target = typeof ctx.target === "string" ? document.querySelector(ctx.target) : ctx.target;
    const region = target && target.id ? document.getElementById(target.id) : target;
    if (!region) return;
    prepare(region.parentElement || region);
    if (ctx.response && ctx.response.status < 400 && region.id !== "page-error") document.getElementById("page-error")?.replaceChildren();
    if (isPoll(ctx)) {
      const news = (region.dataset.announce ?? region.querySelector("[data-announce]")?.dataset.announce) || "";
      if (news && announced.get(region.id) !== news) say(news);
      announced.set(region.id, news);
      return;
    }
    const alarm = region.querySelector("[data-focus]");
    const title = region.querySelector("[data-region-title]");
    (alarm || title)?.focus({ preventScroll: !alarm });
    if (alarm) alarm.scrollIntoView({ block: "center" });
    else if (title) {
      const count = region.querySelector(".pages p, .empty-title")?.textContent.trim();
      say(region.dataset.changed || `${title.textContent.trim()}: ${count || "updated"}`);
    }
  });

  /* No answer at all: say so where errors stand, with a way to try again. What was typed stays where it is. */
  document.addEventListener("htmx:error", (event) => {
    const { ctx, error } = event.detail;
    if (!ctx?.request) return;
    const kind = navigator.onLine === false ? "offline" : String(error).includes("timeout") ? "slow" : "lost";
    complain(words(kind), { again: isGet(ctx) && kind !== "offline" ? ctx.request.action : null, focus: !isPoll(ctx) });
  });
  window.addEventListener("online", () => {
    const place = document.getElementById("page-error");
    if (place?.textContent.includes(place.dataset.offline)) place.replaceChildren();
  });

  prepare(document);
  document.querySelector("main [data-focus]")?.focus();
})();
