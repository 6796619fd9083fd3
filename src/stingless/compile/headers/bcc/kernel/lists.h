/* Lists, trees: finding what a node is in. */
#define list_entry(pointer, type, member) container_of(pointer, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member) list_entry((head)->prev, type, member)
#define list_next_entry(at, member) list_entry((at)->member.next, __typeof__(*(at)), member)
#define list_prev_entry(at, member) list_entry((at)->member.prev, __typeof__(*(at)), member)
#define hlist_entry(pointer, type, member) container_of(pointer, type, member)
#define hlist_nulls_entry(pointer, type, member) container_of(pointer, type, member)
#define llist_entry(pointer, type, member) container_of(pointer, type, member)
#define rb_entry(pointer, type, member) container_of(pointer, type, member)
#define rb_parent(node) ((struct rb_node *)((node)->__rb_parent_color & ~3))

static inline int list_empty(const struct list_head *head)
{
	return head->next == head;
}
static inline int list_is_last(const struct list_head *list, const struct list_head *head)
{
	return list->next == head;
}
static inline int hlist_empty(const struct hlist_head *head)
{
	return !head->first;
}
