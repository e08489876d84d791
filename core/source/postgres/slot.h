/* The replication slot, and the proof that what it will send follows what was read before. "Same
 * position" is not "same history": every way in which they differ ends in ERROR_LOST with its own
 * words, never in silence. design/sources.md §4, "Continuity". */
#ifndef SOURCE_POSTGRES_SLOT_H
#define SOURCE_POSTGRES_SLOT_H

#include "source/postgres/position.h"
#include "source/postgres/publication.h"

/* What IDENTIFY_SYSTEM says. */
struct pg_server {
    uint64_t system;
    uint32_t timeline;
    uint64_t lsn; /* the end of what was flushed (a standby: replayed) */
};

/* Where `timeline` was left, by a timeline's history file as TIMELINE_HISTORY gives it. Foreign
 * bytes: 0, or -1 when it is no ancestor. */
int pg_timeline_fork(const char *history, uint32_t timeline, uint64_t *lsn) must_check;

int pg_server_identify(struct pg_session *replication, struct pg_server *out,
                       struct error *err) must_check;

/* What pg_replication_slots says. */
struct pg_slot {
    bool exists;
    char plugin[PG_NAME], database[PG_NAME];
    bool here;      /* it belongs to the session's database */
    int active_pid; /* 0: nobody reads it */
    uint64_t confirmed, restart;
    char wal_status[16]; /* reserved, extended, unreserved, lost; "" unknown */
    int64_t safe_bytes;  /* until it is lost; -1: no limit */
    bool temporary, two_phase;
    char invalid[64]; /* why the server invalidated it; "" */
    bool synced;      /* a copy on a standby of the primary's slot: cannot be read there */
};

int pg_slot_read(struct pg_session *s, const char *name, struct pg_slot *out,
                 struct error *err) must_check;

/* CONFIG when the slot is there but not of our kind (plugin, database, temporary, two_phase,
 * synced), BUSY, with the pid, while somebody reads it; else 0. */
int pg_slot_refuse(const struct pg_slot *slot, const char *name, struct error *err) must_check;

/* Makes the slot (wal_level and free slots are checked by the server: CONFIG with the ALTER SYSTEM
 * statement), DENIED with ALTER ROLE … REPLICATION. *start: where it begins. Publications must
 * exist. */
int pg_slot_create(struct pg_session *replication, const char *name, uint64_t *start,
                   struct error *err) must_check;
/* Drops it if it is there; BUSY with the pid while somebody reads it. */
int pg_slot_drop(struct pg_session *s, const char *name, struct error *err) must_check;

/* Moves a slot that nobody reads to the end of the log: what lies before is not read. */
int pg_slot_renew(struct pg_session *s, const char *name, struct error *err) must_check;

/* Proves that the slot continues `position` (already read from the journal, never empty). LOST with
 * its own words when: the slot is missing; wal_status lost or invalidated; another system
 * identifier; confirmed above position->confirm (somebody else read it, or it was made again);
 * position above the server's end (a restored or failed-over server; a standby is only behind:
 * BUSY); the timeline forked below the position. BUSY, with the pid,
 * while another session reads it. CONFIG: taken by another plugin, another database, temporary,
 * two_phase. `old_slot` is the slot's name at that time (from the tail): another name now is LOST
 * too. Before pg_publication_sync. */
int pg_slot_prove(struct pg_session *replication, const char *name, const char *old_slot,
                  const struct pg_position *position, const struct pg_server *server,
                  struct error *err) must_check;

/* For an empty position: a slot of that name that can be used as it stands is adopted, one that is
 * lost and ours is dropped and made again, a missing one is made. When history was given up (epoch
 * above 1) and a publication is newer than the slot's place, the slot is renewed: behind that place
 * the same loss would be met again. *start: where it begins. The same refusals (BUSY, CONFIG) as
 * above. After pg_publication_sync. */
int pg_slot_begin(struct pg_session *replication, const char *name, bool ours, uint64_t *start,
                  struct error *err) must_check;

#endif
