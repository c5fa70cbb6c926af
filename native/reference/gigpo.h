// GiGPO advantages, plainly: for every step the whole list is searched for the members of its groups (quadratic). Definitions and
// arguments: cpu/gigpo.h.
#pragma once
#include "cpu/gigpo.h"

namespace siri::reference {

void gigpo_advantages(const cpu::GigpoSpec& spec, const cpu::GigpoTrajectories& trajectories, double* step_return, double* episode,
                      double* step, double* advantage);

}  // namespace siri::reference
