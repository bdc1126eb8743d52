/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_LEAVE_H
#define HOB_DIAG_LEAVE_H

/*
 * Descriptors whose close takes long
 * ==================================
 */

/**
 * leave_descriptor - close it without waiting until the kernel is done with that
 *
 * A child closes it last.  It has nothing else that is open here, and is nobody's to wait for: so
 * call this when the process is about to end.  Where there can be no child this waits.
 */
void leave_descriptor(int fd);

#endif
