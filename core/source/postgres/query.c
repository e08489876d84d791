#include "source/postgres/query.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* The longest start that fits decides; what none fits is ERROR_IO. */
static const struct {
    const char *start;
    enum error_class class;
} states[] = {
    {"08", ERROR_UNREACHABLE}, {"57P", ERROR_UNREACHABLE}, {"28", ERROR_DENIED},
    {"42501", ERROR_DENIED},   {"53300", ERROR_BUSY},      {"55006", ERROR_BUSY},
    {"55P03", ERROR_BUSY},     {"57014", ERROR_BUSY},      {"3D000", ERROR_CONFIG},
    {"42", ERROR_CONFIG},      {"53100", ERROR_FULL},
};

enum error_class
pg_state_class(const char *state)
{
    enum error_class class = *state ? ERROR_IO : ERROR_UNREACHABLE;
    size_t longest = 0;
    for (size_t i = 0; i < countof(states); i++) {
        size_t size = strlen(states[i].start);
        if (size <= longest || strncmp(state, states[i].start, size) != 0)
            continue;
        longest = size;
        class = states[i].class;
    }
    return class;
}

static const char *
field(const PGresult *result, int code)
{
    const char *text = result ? PQresultErrorField(result, code) : NULL;
    return text ? text : "";
}

const char *
pg_query_state(const PGresult *result)
{
    return field(result, PG_DIAG_SQLSTATE);
}

/* The first line of what libpq says: the rest is advice about a terminal. */
static void
cause_of_connection(struct pg_session *s, struct error *err)
{
    const char *text = s->conn ? PQerrorMessage(s->conn) : "";
    error_cause(err, "%.*s", (int)strcspn(text, "\n"), text);
}

int
pg_query_failed(struct pg_session *s, const PGresult *result, const char *what, struct error *err)
{
    char label[256];
    const char *state = pg_query_state(result), *detail = field(result, PG_DIAG_MESSAGE_DETAIL);
    snprintf(s->state, sizeof s->state, "%s", state);
    error_set(err, pg_state_class(state), "source \"%s\": cannot %s (%s)", s->plan->name, what,
              pg_session_label(s->plan, label, sizeof label));
    if (!*state) {
        cause_of_connection(s, err);
        return -1;
    }
    error_cause(err, "%s%s%s", field(result, PG_DIAG_MESSAGE_PRIMARY), *detail ? ": " : "", detail);
    return error_hint(err, "%s", field(result, PG_DIAG_MESSAGE_HINT));
}

/* The next result of the statement under way, NULL behind the last. */
static int
next_result(struct pg_session *s, PGresult **result, struct error *err)
{
    while (PQisBusy(s->conn)) {
        if (!pg_session_wait(s, POLLIN))
            return error_set(err, ERROR_UNREACHABLE, "source \"%s\" is being stopped",
                             s->plan->name);
        if (!PQconsumeInput(s->conn))
            break; /* PQgetResult tells why */
    }
    *result = PQgetResult(s->conn);
    return 0;
}

static bool
has_status(const PGresult *result, unsigned statuses)
{
    return result && (1u << PQresultStatus(result) & statuses);
}

#define STATUS_COPY   (1u << PGRES_COPY_BOTH | 1u << PGRES_COPY_IN | 1u << PGRES_COPY_OUT)
#define STATUS_ROWS   (1u << PGRES_TUPLES_OK | 1u << PGRES_COMMAND_OK | STATUS_COPY)
#define STATUS_FAILED (1u << PGRES_FATAL_ERROR | 1u << PGRES_BAD_RESPONSE)

/* The first result that failed, else the last one. A copy goes on until somebody reads it. */
static int
all_results(struct pg_session *s, PGresult **kept, struct error *err)
{
    PGresult *result = NULL;
    *kept = NULL;
    while (next_result(s, &result, err) == 0) {
        if (!result)
            return 0;
        bool keep = !has_status(*kept, STATUS_FAILED);
        PQclear(keep ? *kept : result);
        if (!keep)
            continue;
        *kept = result;
        if (has_status(result, STATUS_COPY))
            return 0;
    }
    PQclear(*kept);
    return -1;
}

PGresult *
pg_query(struct pg_session *s, const char *what, const char *sql, struct error *err)
{
    PGresult *result;
    s->state[0] = '\0';
    if (!s->conn || !PQsendQuery(s->conn, sql)) {
        pg_query_failed(s, NULL, what, err);
        return NULL;
    }
    if (all_results(s, &result, err) != 0)
        return NULL;
    if (has_status(result, STATUS_ROWS))
        return result;
    pg_query_failed(s, result, what, err);
    PQclear(result);
    return NULL;
}

int
pg_run(struct pg_session *s, const char *what, const char *sql, struct error *err)
{
    PGresult *result = pg_query(s, what, sql, err);
    PQclear(result);
    return result ? 0 : -1;
}

const char *
pg_text(const PGresult *result, int row, const char *column)
{
    int at = PQfnumber(result, column);
    if (at < 0 || row < 0 || row >= PQntuples(result))
        return "";
    return PQgetvalue(result, row, at);
}

int64_t
pg_int(const PGresult *result, int row, const char *column)
{
    return strtoll(pg_text(result, row, column), NULL, 10);
}

bool
pg_bool(const PGresult *result, int row, const char *column)
{
    return pg_text(result, row, column)[0] == 't';
}

bool
pg_is_null(const PGresult *result, int row, const char *column)
{
    int at = PQfnumber(result, column);
    return at < 0 || row < 0 || row >= PQntuples(result) || PQgetisnull(result, row, at);
}

/* One to eight hexadecimal digits; where they end, or NULL. */
static const char *
hex_half(const char *text, uint64_t *half)
{
    size_t digits = strspn(text, "0123456789abcdefABCDEF");
    if (digits < 1 || digits > 8)
        return NULL;
    *half = strtoull(text, NULL, 16);
    return text + digits;
}

int
pg_lsn_parse(const char *text, uint64_t *lsn)
{
    uint64_t high, low;
    const char *slash = hex_half(text, &high);
    if (!slash || *slash != '/')
        return -1;
    const char *end = hex_half(slash + 1, &low);
    if (!end || *end)
        return -1;
    *lsn = high << 32 | low;
    return 0;
}

char *
pg_lsn_format(uint64_t lsn, char out[PG_LSN_TEXT])
{
    snprintf(out, PG_LSN_TEXT, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
    return out;
}
