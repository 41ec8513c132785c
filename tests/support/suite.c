/* Suites as the Check library runs them; where that is not, no_check/check.c does. */
#include "progress.h"
#include "support.h"

#include <stdlib.h>

int run_suite(const char *name, const TTest *const *tests)
{
    Suite *suite = suite_create(name);
    SRunner *runner;
    int failed;

    setenv("CK_DEFAULT_TIMEOUT", "0", 0); /* Check's own 4 seconds fail beside other work */
    for (; *tests; tests++) {             /* a case each: CK_RUN_CASE chooses among cases */
        TCase *tcase = tcase_create((*tests)->name);

        tcase_add_checked_fixture(tcase, watch_progress, NULL);
        tcase_add_test(tcase, *tests);
        suite_add_tcase(suite, tcase);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
