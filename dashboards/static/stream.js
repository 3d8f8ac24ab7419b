// The server's events about alerts. A beat comes every 1.5 seconds: silence for longer means the stream is broken,
// whatever the browser believes; the page says so and tries again, from the last event it has seen.

const SILENCE_MS = 4000;
const LOOK_MS = 250;
const AGAIN_MS = 1000;

export class Stream {
  // changed(event): an alert changed; live(): events come (again); reload(): too much was missed, take everything anew.
  constructor(address, { changed, live, reload }) {
    this.address = new URL(address, location.href);
    this.changed = changed;
    this.live = live;
    this.reload = reload;
    this.heard = Date.now();
    this.state = "new"; // until the first beat; the style sheet says so if that does not come in time
    this.connect();
    setInterval(() => this.watch(), LOOK_MS);
    addEventListener("offline", () => this.lost());
    addEventListener("online", () => this.connect());
  }

  connect() {
    this.source?.close();
    this.source = new EventSource(this.address);
    this.begun = Date.now();
    this.source.addEventListener("beat", () => this.hear());
    this.source.addEventListener("alert", (event) => {
      this.hear();
      this.address.searchParams.set("since", event.lastEventId);
      this.changed(JSON.parse(event.data));
    });
    this.source.addEventListener("reload", () => { this.hear(); this.reload(); });
    this.source.addEventListener("signed_out", () => { this.source.close(); location.assign("/login"); });
    this.source.addEventListener("error", () => this.lost());
  }

  hear() {
    this.heard = Date.now();
    if (this.state === "live") return;
    if (this.state === "lost") this.reload(); // what happened is sent again, but a page that was away starts from the truth
    this.show("live");
    this.live();
  }

  lost() {
    this.show("lost");
  }

  show(state) {
    this.state = state;
    document.body.classList.toggle("is-live", state === "live");
    document.body.classList.toggle("is-stale", state === "lost");
  }

  watch() {
    const silent = Date.now() - this.heard;
    if (silent > SILENCE_MS && this.state !== "lost") this.lost();
    const trying = Date.now() - this.begun;
    const dead = this.source.readyState === EventSource.CLOSED && trying > AGAIN_MS;
    if (this.state === "lost" && (dead || (silent > SILENCE_MS && trying > SILENCE_MS))) {
      // A session that ended answers a stream with nothing a script can read; a request of htmx leads to the login.
      if (dead) this.reload();
      this.connect();
    }
  }
}
