// The camera: a picture of it on the page, and photos out of it.

import { t } from "./i18n.js";

const WIDTH = 1280;

export class Camera {
  #stream = null;

  /** `video` shows what the camera sees; muted and inline, so that phones let it start. */
  constructor(video) {
    this.video = Object.assign(video, { muted: true, playsInline: true, autoplay: true });
  }

  get running() { return this.#stream !== null; }

  /** Raises an Error with a sentence for people. `facing` is `user` or `environment`. */
  async start(facing) {
    if (!navigator.mediaDevices?.getUserMedia) throw new Error(t("camera.insecure"));
    this.stop();
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: WIDTH }, facingMode: facing } });
    } catch (error) {
      throw new Error(t(error.name === "NotAllowedError" ? "camera.denied" : "camera.missing"));
    }
    this.video.srcObject = this.#stream;
    await this.video.play();
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.video.srcObject = null;
  }

  /** A JPEG of this moment; null before the first frame. */
  async photo() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return null;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.92); });
    return new File([blob], t("camera.file"), { type: "image/jpeg" });
  }
}
