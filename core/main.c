/* Reads arguments, picks the command. */
#include "base/power.h"
#include "cli/cli.h"

int
main(int argc, char **argv)
{
    power_install();
    return cli_main(argc, argv);
}
