// orrery: the command line.
#include "crypto/curve.h"
#include "service/cli.h"

int main(int argc, char** argv) {
  orrery::crypto::init();
  return orrery::service::run_cli(argc, argv);
}
