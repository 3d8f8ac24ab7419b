// The server's events about alerts. A beat comes every two seconds: silence for longer means the stream is broken,
// whatever the browser believes; the page says so and tries again, from the last event it has seen.

const SILENCE_MS = 4500;
const AGAIN_MS = 1000;
const stale = document.getElementById("stale");

export class Stream {
  // changed(event): an alert changed; reload(): too much was missed, take everything anew.
  constructor(address, { changed, reload }) {
    this.address = new URL(address, location.href);
    this.changed = changed;
    this.reload = reload;
    this.heard = Date.now();
    this.broken = false;
    this.connect();
    setInterval(() => this.watch(), 500);
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
    if (!this.broken) return;
    this.broken = false;
    this.show();
    this.reload(); // what happened meanwhile is sent again, but a page that was away starts from the truth
  }

  lost() {
    this.broken = true;
    this.show();
  }

  show() {
    stale.hidden = !this.broken;
    document.body.classList.toggle("is-stale", this.broken);
  }

  watch() {
    const silent = Date.now() - this.heard;
    if (silent > SILENCE_MS && !this.broken) this.lost();
    const trying = Date.now() - this.begun;
    const dead = this.source.readyState === EventSource.CLOSED && trying > AGAIN_MS;
    if (this.broken && (dead || (silent > SILENCE_MS && trying > SILENCE_MS))) {
      // A session that ended answers a stream with nothing a script can read; a request of htmx leads to the login.
      if (dead) this.reload();
      this.connect();
    }
  }
}
