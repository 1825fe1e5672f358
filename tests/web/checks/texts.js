/** What texts and lines mean. */

import { format, mentions, parse } from "./modules.js";
import { same } from "./fakes.js";

/** @param {string} text */
function shown(text) {
  return format(text, "ann").map((it) => {
    if (typeof it === "string") return it;
    const made = /** @type {HTMLElement} */ (it);
    return `<${made.localName} ${made.getAttribute("href") ?? made.className}>${made.textContent}`;
  });
}

export function linksAreLinksAndNothingElseIs() {
  same(shown("see https://a.example/x?y=1."), ["see ", "<a https://a.example/x?y=1>https://a.example/x?y=1", "."]);
  same(shown("(http://a.example/b)"), ["(", "<a http://a.example/b>http://a.example/b", ")"]);
  same(shown("https://a.example/x_(y)"), ["<a https://a.example/x_(y)>https://a.example/x_(y)"]);
  same(shown("https://a.example/x_(y)."), ["<a https://a.example/x_(y)>https://a.example/x_(y)", "."]);
  same(shown("(cf. https://a.example/x_(y))!"), ["(cf. ", "<a https://a.example/x_(y)>https://a.example/x_(y)", ")!"]);
  same(shown("(at http://a.example/b.)"), ["(at ", "<a http://a.example/b>http://a.example/b", ".)"]);
  same(shown("[http://[::1]/]"), ["[", "<a http://[::1]/>http://[::1]/", "]"]);
  for (const text of ["javascript:alert(1)", "data:text/html,x", "ftp://a", "https://", "//a.example", "<a href=x>"]) {
    same(shown(text), [text]);
  }
}

export function codeIsCodeWhateverIsInIt() {
  same(shown("a `https://b` c"), ["a ", "<code >https://b", " c"]);
  same(shown("```\n@ann\n```"), ["<pre >@ann"]);
  same(shown("a\n```sh\nmake\n```\nb"), ["a\n", "<pre >make", "b"]);
  same(shown("one ` tick"), ["one ` tick"]);
  same(shown("``"), ["``"]);
}

export function mentionsStandOut() {
  same(shown("hi @ann."), ["hi ", "<bdi mention me>@ann", "."]);
  same(shown("@bob-2, x@y.example"), ["<bdi mention>@bob-2", ", x@y.example"]);
  same(mentions("hi @Ann!", "ann"), true);
  same(mentions("hi @anna `@ann` https://a.example/@ann", "ann"), false);
}

export function linesAreTextOrCommands() {
  same(parse("hello", "#a"), { kind: "say", to: "#a", text: "hello" });
  same(parse("//x", "#a"), { kind: "say", to: "#a", text: "/x" });
  same(parse("/msg Bob how are  you", "#a"), { kind: "private", to: "@bob", text: "how are  you" });
  same(parse("/JOIN Dev", "#a"), { kind: "join", room: "#dev" });
  same(parse("/leave", "#a"), { kind: "leave", room: "#a" });
  const moderate = { room: "#a", action: "MODERATION_ACTION_BAN", user: "bob", duration: "7200s", reason: "too loud" };
  same(parse("/ban @bob 2h too loud", "#a"), { kind: "ask", command: { moderate } });
}

export function whatMakesNoSenseIsRefused() {
  for (const line of ["/nonsense", "/msg bob", "/ban bob 10", "/ban bob 10 minutes", "/who x", "/history 0", "/kick"]) {
    let refused = false;
    try {
      parse(line, "#a");
    } catch {
      refused = true;
    }
    same([line, refused], [line, true]);
  }
}
