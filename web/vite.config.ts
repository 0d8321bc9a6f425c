import { defineConfig } from "vite";

// The page is served under a content security policy of 'self' only: nothing is
// inlined, and the build keeps dist/.keep (copied from public/), which lets the Go
// program compile before the page has been built.
export default defineConfig({
  build: {
    target: ["chrome125", "firefox125", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/api": "http://127.0.0.1:8080",
      "/login": "http://127.0.0.1:8080",
      "/prod": { target: "http://127.0.0.1:8080", ws: true },
    },
  },
});
