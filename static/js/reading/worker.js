// Keeps the page "Try a picture" and what it needs, so that it works without a network. It is
// registered for that page's address alone: no other page, and nobody's pictures, pass through it.
// KEPT is written above by the server: version, page, static, network, first.

const NAME = `try-${KEPT.version}`;

const keepFirst = async () => {
  const cache = await caches.open(NAME);
  // Without cookies: the page as a stranger gets it.
  const page = await fetch(KEPT.page, { credentials: "omit", cache: "no-store" });
  if (page.ok) await cache.put(KEPT.page, page);
  await Promise.all(
    KEPT.first.map(async (path) => {
      const file = await fetch(path, { credentials: "omit", cache: "no-cache" });
      if (file.ok) await cache.put(path, file);
    }),
  );
};

const forgetOthers = async () => {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("try-") && name !== NAME);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
};

/** What has one address in all versions: as it is now, else as it was kept with the rest. */
const fromNetworkFirst = async (request, path) => {
  try {
    const isPage = request.mode === "navigate";
    return await (isPage ? fetch(request) : fetch(request, { cache: "no-cache" }));
  } catch {
    const cache = await caches.open(NAME);
    return (await cache.match(path)) ?? Response.error();
  }
};

/** What has another address where it is another: the network, and static files by their hash. */
const fromCacheFirst = async (request) => {
  const cache = await caches.open(NAME);
  const found = await cache.match(request.url);
  if (found) return found;
  const fresh = await fetch(request);
  if (fresh.status === 200) await cache.put(request.url, fresh.clone());
  return fresh;
};

self.addEventListener("install", (event) => {
  event.waitUntil(keepFirst().then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(forgetOthers()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  const isPage = request.mode === "navigate" && pathname === KEPT.page;
  if (isPage || KEPT.first.includes(pathname)) {
    event.respondWith(fromNetworkFirst(request, pathname));
  } else if (pathname === KEPT.network || pathname.startsWith(KEPT.static)) {
    event.respondWith(fromCacheFirst(request));
  }
});
