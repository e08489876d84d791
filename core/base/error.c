#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/text.h"

/* Indexed by enum error_class; the codes are those of sysexits(3). */
static const struct {
    const char *name;
    int exit_code;
} classes[] = {
    [ERROR_NONE] = {"none", 0},
    [ERROR_USAGE] = {"usage", 64},
    [ERROR_DATA] = {"data", 65},
    [ERROR_MISSING] = {"missing", 66},
    [ERROR_UNREACHABLE] = {"unreachable", 69},
    [ERROR_INTERNAL] = {"internal", 70},
    [ERROR_SYSTEM] = {"system", 71},
    [ERROR_IO] = {"io", 74},
    [ERROR_FULL] = {"full", 74},
    [ERROR_CORRUPT] = {"corrupt", 74},
    [ERROR_BUSY] = {"busy", 75},
    [ERROR_DENIED] = {"denied", 77},
    [ERROR_CONFIG] = {"config", 78},
    [ERROR_LOST] = {"lost", 69},
    [ERROR_BUDGET] = {"budget", 65},
    [ERROR_REFUSED] = {"refused", 64},
};

/* Copies into a field of the error, cut at a whole character. */
static void
store(char *field, size_t size, const char *text)
{
    struct slice fits = text_truncate(slice_of(text), size - 1);
    memcpy(field, fits.data, fits.size);
    field[fits.size] = '\0';
}

/* Formats beside the field first: the arguments may point into the same error. A character's width
 * more than any field has shows where the last one ends. */
static void
format_into(char *field, size_t size, const char *format, va_list args)
{
    char text[sizeof(((struct error *)0)->message) + 4];
    if (vsnprintf(text, sizeof(text), format, args) < 0)
        text[0] = '\0';
    store(field, size, text);
}

static void
begin(struct error *err, enum error_class class, const char *file, int line)
{
    err->class = class;
    err->file = file;
    err->line = line;
    err->cause[0] = '\0';
    err->hint[0] = '\0';
}

int
error_set_at(struct error *err, enum error_class class, const char *file, int line,
             const char *format, ...)
{
    va_list args;
    if (!err)
        return -1;
    va_start(args, format);
    format_into(err->message, sizeof(err->message), format, args);
    va_end(args);
    begin(err, class, file, line);
    return -1;
}

int
error_errno_at(struct error *err, enum error_class class, int number, const char *file, int line,
               const char *format, ...)
{
    char text[128];
    va_list args;
    if (!err)
        return -1;
    va_start(args, format);
    format_into(err->message, sizeof(err->message), format, args);
    va_end(args);
    begin(err, number == ENOSPC || number == EDQUOT ? ERROR_FULL : class, file, line);
    store(err->cause, sizeof(err->cause), strerror_r(number, text, sizeof(text)));
    return -1;
}

int
error_context(struct error *err, const char *format, ...)
{
    char context[sizeof(err->message)];
    char text[2 * sizeof(err->message) + 2];
    va_list args;
    if (!err)
        return -1;
    va_start(args, format);
    format_into(context, sizeof(context), format, args);
    va_end(args);
    snprintf(text, sizeof(text), "%s: %s", context, err->message);
    store(err->message, sizeof(err->message), text);
    return -1;
}

int
error_cause(struct error *err, const char *format, ...)
{
    va_list args;
    if (!err)
        return -1;
    va_start(args, format);
    format_into(err->cause, sizeof(err->cause), format, args);
    va_end(args);
    return -1;
}

int
error_hint(struct error *err, const char *format, ...)
{
    va_list args;
    if (!err)
        return -1;
    va_start(args, format);
    format_into(err->hint, sizeof(err->hint), format, args);
    va_end(args);
    return -1;
}

char *
error_text(const struct error *err, char *out, size_t size)
{
    struct buffer text;
    struct slice fits;
    ensure(size > 0);
    buffer_init(&text, 16 * sizeof(*err));
    text_printable(&text, slice_of(err->message), false);
    if (err->cause[0]) {
        buffer_text(&text, ": ");
        text_printable(&text, slice_of(err->cause), false);
    }
    if (err->hint[0]) {
        buffer_text(&text, " (");
        text_printable(&text, slice_of(err->hint), false);
        buffer_text(&text, ")");
    }
    fits = text_truncate(buffer_view(&text), size - 1);
    memcpy(out, fits.data, fits.size);
    out[fits.size] = '\0';
    buffer_release(&text);
    return out;
}

int error_exit_code(enum error_class class)
{
    ensure((size_t) class < countof(classes));
    return classes[class].exit_code;
}

const char *error_class_name(enum error_class class)
{
    ensure((size_t) class < countof(classes));
    return classes[class].name;
}
