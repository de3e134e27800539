/* commands.h - the functions behind the rows of the command tables (main.c, engine.c and
 * control.c).
 *
 * Each gets argv[0] = its own name, prints its own errors and returns the exit status.
 */
#pragma once

int cmd_run(int argc, char **argv);            /* static */
int cmd_connect_helper(int argc, char **argv); /* static, hidden: ssh's ProxyCommand inside */
int cmd_doctor(int argc, char **argv);         /* static */
int cmd_audit(int argc, char **argv);          /* static */
int cmd_serve(int argc, char **argv);          /* postern-control */
int cmd_key(int argc, char **argv);            /* postern-control */
int cmd_workspace(int argc, char **argv);      /* postern-control */
