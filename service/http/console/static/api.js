// Requests to /v1, and nothing else that this page ever asks.

import { session } from "./session.js";

/** Why a request failed: the problem's `code` and `detail`; `offline` where no answer came. */
export class Failure extends Error {
  constructor(status, code, detail, waitSeconds = 0) {
    super(detail);
    Object.assign(this, { status, code, detail, waitSeconds });
  }
}

/** Told when a request was refused for want of a key. */
export const refusals = new EventTarget();

/** The answer to a request whose query has the chosen gallery. Raises Failure; an abort is raised as it is. */
export async function ask(method, path, { query = {}, body, type, signal, gallery = session.gallery, keepalive = false } = {}) {
  const url = new URL(`/v1${path}`, location.origin);
  for (const [name, value] of Object.entries({ ...query, gallery })) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const headers = {};
  if (session.key) headers.Authorization = `Bearer ${session.key}`;
  if (type) headers["Content-Type"] = type;
  let response;
  try {
    response = await fetch(url, { method, headers, body, signal, keepalive, credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "offline", String(error.message));
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

async function failureOf(response) {
  let problem = {};
  try { problem = await response.json(); } catch { /* a proxy's page, or nothing */ }
  const failure = new Failure(
    response.status, problem.code ?? `http_${response.status}`, problem.detail ?? response.statusText,
    Number(response.headers.get("Retry-After")) || 0);
  if (response.status === 401) refusals.dispatchEvent(new Event("unauthenticated"));
  return failure;
}

async function members(method, path, options) {
  try {
    return await (await ask(method, path, options)).json();
  } catch (error) {
    if (error instanceof Failure || error.name === "AbortError") throw error;
    throw new Failure(0, "offline", String(error.message)); // it broke off midway
  }
}

const json = (content) => ({ type: "application/json", body: JSON.stringify(content) });
const photoType = (photo) => (photo.type.startsWith("image/") ? photo.type : "image/jpeg");

/** A remark in a path. Browsers take `.` and `..` for folders however they are spelled, so those two have no path. */
const named = (remark) => `/people/${encodeURIComponent(remark)}`;
const pathless = (remark) => remark === "." || remark === "..";

export const getModel = (signal) => members("GET", "/model", { gallery: null, signal });
export const getStats = (signal) => members("GET", "/stats", { signal });
export const getStatus = (signal) => members("GET", "/status", { signal });
export const getDevices = (signal) => members("GET", "/devices", { gallery: null, signal });
export const getGalleries = (signal) => members("GET", "/galleries", { gallery: null, signal });
export const getPeople = (query, signal) => members("GET", "/people", { query, signal });
export const getFaces = (query, signal) => members("GET", "/faces", { query, signal });
export const getPicture = async (faceId, signal) => (await ask("GET", `/faces/${faceId}/picture`, { signal })).blob();

export const identify = (photo, signal) => members("POST", "/identify", {
  query: { limit: 3, include: "picture,size" }, body: photo, type: photoType(photo), signal });
export const register = (photo, query, signal) => members("POST", "/faces", {
  query, body: photo, type: photoType(photo), signal });

export const changeFace = (faceId, changes) => members("PATCH", `/faces/${faceId}`, json(changes));
export const deleteFace = (faceId, options = {}) => ask("DELETE", `/faces/${faceId}`, options);

/** Give a person another remark. Raises Failure with the code `remark_in_use` unless `merge`. */
export async function renamePerson(remark, becomes, merge) {
  if (!pathless(remark)) return members("PATCH", named(remark), json({ remark: becomes, merge }));
  const there = (await getFaces({ remark: becomes, limit: 1 })).faces.length > 0;
  if (there && !merge) throw new Failure(409, "remark_in_use", becomes);
  return eachFace(remark, (face) => changeFace(face.face_id, { remark: becomes }));
}

/** Forget a person and all of their faces. */
export async function deletePerson(remark, options = {}) {
  if (!pathless(remark)) return ask("DELETE", named(remark), options);
  return eachFace(remark, (face) => deleteFace(face.face_id, options));
}

async function eachFace(remark, change) {
  let page = await getFaces({ remark });
  while (page.faces.length > 0) {
    for (const face of page.faces) await change(face);
    page = await getFaces({ remark });
  }
}
