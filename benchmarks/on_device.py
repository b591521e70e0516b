"""Reading one image in a browser, as the page "Try a picture" does.

    .venv/bin/python -m benchmarks.on_device [--images FOLDER] [--count 30]

Chromium without a window, one tab, LiteRT.js in WebAssembly on one thread. Files are served from
this process, so no network counts. The pictures are those of `benchmarks.reading`.
"""

from __future__ import annotations

import argparse
import mimetypes
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Route, sync_playwright

from benchmarks.reading import IMAGES, percentiles, pictures
from ml import on_device, reader

ROOT = Path(__file__).resolve().parents[1]
SITE = "https://reading.test"
RUNTIME = "/static/vendor/litert/litert_wasm_compat_internal"
LOAD = """async ([rules, runtime]) => {
  const started = performance.now();
  const { Network } = await import("/static/js/reading/network.js");
  const { read } = await import("/static/js/reading/look.js");
  const { open } = await import("/static/js/reading/opening.js");
  const { reduce } = await import("/static/js/reading/views.js");
  const model = new Uint8Array(await (await fetch("/model")).arrayBuffer());
  const network = await Network.load(`${runtime}.js`, `${runtime}.wasm`, model, rules);
  const known = new Float32Array(
    [rules.context.age_knots, rules.context.sexes, rules.context.localizations].flat().length,
  );
  rules.words = { refused: {} };
  window.timed = async () => {
    const file = new File([await (await fetch("/picture")).blob()], "it");
    const times = {};
    let from = performance.now();
    const pixels = await open(file, rules);
    await read(network, pixels, {});
    times.all = performance.now() - from;
    const image = reduce(pixels, rules);
    from = performance.now();
    await network.see(image, known);
    times.views = performance.now() - from;
    return times;
  };
  return performance.now() - started;
}"""


def answering(shelf: dict[str, bytes]) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(SITE)
        if path == "/":
            route.fulfill(body="<!doctype html><title>Reading</title>", content_type="text/html")
        elif path == "/picture":
            route.fulfill(body=shelf["picture"])
        elif path == "/model":
            route.fulfill(path=reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.tflite")
        else:
            kind = "application/wasm" if path.endswith(".wasm") else mimetypes.guess_type(path)[0]
            route.fulfill(path=ROOT / path.removeprefix("/"), content_type=kind)

    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=Path, default=IMAGES)
    parser.add_argument("--count", type=int, default=30)
    options = parser.parse_args()
    shelf: dict[str, bytes] = {}
    times: list[dict[str, Any]] = []
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        page = browser.new_page()
        page.route(f"{SITE}/**", answering(shelf))
        page.goto(f"{SITE}/")
        ready = page.evaluate(LOAD, [on_device.rules_of(reader.card()), RUNTIME])
        for file in pictures(options.images, options.count + 1):
            shelf["picture"] = file
            times.append(page.evaluate("timed()"))
        browser.close()
    print(f"model {reader.DEFAULT_VERSION}, {len(times) - 1} images, load {os.getloadavg()[0]:.1f}")
    print(f"runtime and network ready in {ready / 1000:.1f} s")
    print(f"\n{'milliseconds':28}{'p50':>8}{'p95':>8}")
    for name, words in (("all", "reading, all in"), ("views", "the six views of one image")):
        p50, p95 = percentiles([one[name] for one in times[1:]])  # the first one warms up
        print(f"{words:28}{p50:8.0f}{p95:8.0f}")


if __name__ == "__main__":
    main()
