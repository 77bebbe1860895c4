#include "app/program.h"

int main(int argc, char** argv) { return backstay::app::run_program(argc, argv); }
