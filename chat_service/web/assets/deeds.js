/** The use of rights over a room, in words; the same as those of the terminal's. */

/** @import {Moderated} from "./contract.js" */

/** @type {Record<string, string>} */
const DEEDS = {
  KICK: "kicked {user} from {room}",
  BAN: "banned {user} from {room}",
  UNBAN: "unbanned {user} from {room}",
  MUTE: "muted {user} in {room}",
  UNMUTE: "unmuted {user} in {room}",
  INVITE: "invited {user} to {room}",
  MAKE_PRIVATE: "made {room} private",
  MAKE_PUBLIC: "made {room} public",
  APPOINT: "made {user} a moderator of {room}",
  DISMISS: "made {user} a plain member of {room}",
  HAND_OVER: "handed {room} over to {user}",
};

/**
 * Returns the sentence that tells of it, from one user's side; empty for what is not known.
 * @param {Moderated} moderated
 * @param {string} me
 */
export function deed({ room, action, user = "", by = "", reason, until }, me) {
  const told = DEEDS[action.replace("MODERATION_ACTION_", "")];
  if (!told) return "";
  const done = told.replace("{user}", () => (user === me ? "you" : user)).replace("{room}", () => room);
  const end = until ? ` until ${new Date(until).toLocaleString()}` : "";
  const why = reason ? ` (${reason})` : "";
  return `${by === me ? "You have" : `${by || "An admin"} has`} ${done}${end}${why}`;
}
