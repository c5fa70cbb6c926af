// A world of your own in one file: six things, six drawers, three tries. Where each thing lies has to be learnt.
const DRAWER = { mug: 3, pen: 1, book: 5, apple: 2, knife: 6, plate: 4 };
const THINGS = Object.keys(DRAWER);
const ACTIONS = [1, 2, 3, 4, 5, 6].map((number) => `go to drawer ${number}`);

/** @type {import("siri-rl").EnvironmentModule} */
export default {
  name: "lost-things",
  splits: ["train", "test"],
  evalSplits: ["test"],

  // A task is a value: the same task starts from the same state, whoever plays it.
  tasks: (split) => ({
    length: split === "train" ? 600 : 60,
    at: (index) => ({ id: `${split}/${index}`, split, type: THINGS[index % 6], data: { thing: THINGS[index % 6] } }),
  }),

  // An environment plays one task at a time; many run side by side. Both methods may be async.
  create() {
    let thing = "";
    let tries = 0;
    const see = (text) => ({ text, task: `find the ${thing}`, actions: ACTIONS, anchor: text });
    return {
      reset(task) {
        thing = task.data.thing;
        tries = 0;
        return see("You see a drawer 6, a drawer 5, a drawer 4, a drawer 3, a drawer 2, and a drawer 1.");
      },
      step(action) {
        tries += 1;
        const success = action === `go to drawer ${DRAWER[thing]}`;
        const text = success ? `You find the ${thing}.` : ACTIONS.includes(action) ? "The drawer is empty." : "Nothing happens.";
        return { ...see(text), reward: success ? 10 : 0, done: success || tries === 3, success };
      },
    };
  },
};
