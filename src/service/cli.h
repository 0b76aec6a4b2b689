// The command line `orrery`: the commands of zerotier-cli and zerotier-idtool, and Orrery's own.
//
// Exit codes: 0 done, 1 failed (the daemon or the file said no), 2 usage, 3 no daemon reachable.
#pragma once

namespace orrery::service {

int run_cli(int argc, char** argv);

}  // namespace orrery::service
