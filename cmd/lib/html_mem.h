/* SPDX-License-Identifier: MIT
 *
 * html_mem.h - the memory of one page's tree, given back at once
 */
#ifndef HOB_CMD_HTML_MEM_H
#define HOB_CMD_HTML_MEM_H

/** Before anything of libxml2's is called. */
void html_mem_init(void);

/**
 * From begin to rest what libxml2 allocates on this thread lies in one region, or is malloc's where
 * that is full; from rest on it is malloc's.  After the end nothing that lies in the region is
 * used, or freed.
 */
void html_mem_begin(void);
void html_mem_rest(void);
void html_mem_end(void);

#endif
