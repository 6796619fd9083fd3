/* Two threads take two locks, each in its own order, but never at the same time: a deadlock that could be. */
#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;

static void *forwards(void *unused)
{
	pthread_mutex_lock(&one);
	pthread_mutex_lock(&other);
	pthread_mutex_unlock(&other);
	pthread_mutex_unlock(&one);
	return 0;
}

static void *backwards(void *unused)
{
	pthread_mutex_lock(&other);
	pthread_mutex_lock(&one);
	pthread_mutex_unlock(&one);
	pthread_mutex_unlock(&other);
	return 0;
}

int main(void)
{
	for (int i = 0; i < 120; i++) {
		pthread_t thread;
		pthread_create(&thread, 0, i % 2 ? forwards : backwards, 0);
		pthread_join(thread, 0);
		usleep(500000);
	}
	return 0;
}
