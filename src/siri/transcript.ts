/** An episode as a text that a person can read: `trajectories/` of a run. */
import type { Trajectory } from "../rl/trajectory.js";

export function readable({ plan, steps, success, reward, score, truncated }: Trajectory): string {
  const end = success ? "won" : truncated ? "cut off by the step limit" : "lost";
  const scored = score === (success ? 1 : 0) ? "" : `, score ${score}`;
  const lines = [
    `task ${plan.task.id} (${plan.task.type}): ${steps[0]?.observation.task ?? ""}`,
    `iteration ${plan.iteration}, group ${plan.group}, member ${plan.member}: ${end} after ${steps.length} steps, return ${reward}${scored}`,
    plan.skills.length === 0 ? "no skill shown" : "",
    ...plan.skills.map((skill) => `skill ${skill.id}: when ${skill.condition}: ${skill.strategy}`),
  ].filter((line) => line !== "");
  steps.forEach((step, t) => {
    const marks = [
      step.wellFormed ? "" : "malformed",
      step.admissible ? "" : "not in the list",
      step.reward === 0 ? "" : `reward ${step.reward}`,
    ];
    const note = marks.filter((mark) => mark !== "").join(", ");
    lines.push(
      "",
      `[${t + 1}] ${step.observation.text.trim()}`,
      `    reply: ${step.reply}`,
      `    action: ${step.action}${note ? `  (${note})` : ""}`,
    );
  });
  return `${lines.join("\n")}\n`;
}
