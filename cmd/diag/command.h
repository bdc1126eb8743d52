/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_COMMAND_H
#define HOB_DIAG_COMMAND_H

#include <sys/types.h>

#include "diag/rec.h"
#include "lib/buf.h"

/*
 * The command that is recorded: its words, and the file that they run
 * ===================================================================
 */

/** command_note - the words as one text into rec->command; argv NULL: those of a process that runs
 */
void command_note(struct recording *rec, char *const *argv, pid_t pid);

/**
 * command_file - the program's file as exec finds it, with no link on the way; "": none is found,
 * or it is a script and another file is what runs
 */
void command_file(const char *name, struct buf *to);

/**
 * command_file_note - as the file of the recording's root where that is not known: it was over
 * before it could be asked
 */
void command_file_note(struct recording *rec, const char *name);

#endif
