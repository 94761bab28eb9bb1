/* sigbus.h: a mapped file that is cut off while it is read (by another program, or because its disk failed) ends the
 * process with a message that names the file, where a bare "Bus error" would.
 *
 *     sigbus_install(2);                          at the beginning of main(); 2: the exit code then
 */
#ifndef PRERANK_BASE_SIGBUS_H
#define PRERANK_BASE_SIGBUS_H

void sigbus_install(int exit_code);

#endif
