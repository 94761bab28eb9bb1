/* folder.h: a folder of its own for each test, gone afterwards.
 *
 *     TestSuite(source, .init = folder_setup, .fini = folder_teardown);
 *     folder_put("a.csv", "x,y\n", 4);
 *     ... folder_path("a.csv") ...
 */
#ifndef PRERANK_TESTS_DATA_FOLDER_H
#define PRERANK_TESTS_DATA_FOLDER_H
#include <stddef.h>

void folder_setup(void);
void folder_teardown(void);
const char *folder_path(const char *name); /* valid for the next 7 calls */
void folder_put(const char *name, const void *bytes, size_t n);
void folder_put_text(const char *name, const char *text);

#endif
