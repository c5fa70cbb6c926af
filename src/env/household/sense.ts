/** What a player may know of rooms before it has seen one: what goes where, and how likely. Nothing of a particular room. */
import { accepts, furnitureKind } from "./catalog.js";

export interface RoomSense {
  /** Whether furniture of a kind takes things of a kind, as far as is known. */
  accepts(furniture: string, thing: string): boolean;
  /** Weight of searching furniture of a kind for a thing of a kind, > 0. Absent: all places are alike. */
  readonly chance?: (furniture: string, thing: string) => number;
  /** The word of a short thought: put mug `in` cabinet. */
  preposition(furniture: string): string;
}

/** The catalog's. Nothing is said of chances, so a search there must read what the room has. */
export const HOUSEHOLD_SENSE: RoomSense = { accepts, preposition: (furniture) => furnitureKind(furniture).preposition };
