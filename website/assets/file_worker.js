// Where a page is opened as a file, browsers start no worker, by which search runs: a frame of its own stands in.
if (location.protocol === "file:") {
  // As a worker's: a copy, and later.
  const send = (target, data) => {
    const copy = structuredClone(data);
    setTimeout(() => target.dispatchEvent(new MessageEvent("message", { data: copy })));
  };
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.waiting = [];
      this.addEventListener("message", (event) => this.onmessage && this.onmessage(event));
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => send(this, data);
      const script = inside.document.createElement("script");
      script.src = new URL(address, document.baseURI).href;
      script.onload = () => {
        this.ready = true;
        this.waiting.splice(0).forEach((data) => send(inside, data));
      };
      inside.document.body.append(script);
    }
    postMessage(data) {
      if (this.ready) send(this.frame.contentWindow, data);
      else this.waiting.push(data);
    }
    terminate() {
      this.frame.remove();
    }
  };
}
