// The command line `orrery`: the commands of zerotier-cli and zerotier-idtool, and Orrery's own.
//
// Text is that of the stock tools; -j, before or behind a command, gives JSON. Options that every
// command takes may stand anywhere. Exit codes: 0 done, 1 failed (the daemon or a file said no),
// 2 usage or configuration, 3 no daemon reachable. docs/man/orrery.1 describes all of it.
#pragma once

namespace orrery::service {

/// Runs one command; messages about failures go to standard error. Never throws.
int run_cli(int argc, char** argv);

}  // namespace orrery::service
