/* Arbitrary bytes as what a server, or whatever answers in its place, says to a login; and as the
 * place in its log that it names. */
#include <stdlib.h>
#include "source/postgres/connect_answer.h"
#include "source/postgres/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = memory_slice((struct slice){(const char *)data, size});
    char address[64], lsn_text[PG_LSN_TEXT];
    struct pg_answer answer;
    uint64_t lsn, again;
    pg_answer_read(text, &answer);
    ensure(strlen(answer.state) == 0 || strlen(answer.state) == 5);
    ensure(strlen(answer.words) < sizeof answer.words && !strchr(answer.words, '\n'));
    ensure(strlen(answer.routine) < sizeof answer.routine && !strchr(answer.routine, '\n'));
    ensure(pg_state_class(answer.state) != ERROR_NONE);
    if (pg_answer_address(&answer, address, sizeof address))
        ensure(strchr(address, '/') != NULL);
    if (pg_lsn_parse(text, &lsn) == 0)
        ensure(pg_lsn_parse(pg_lsn_format(lsn, lsn_text), &again) == 0 && again == lsn);
    free(text);
    return 0;
}
