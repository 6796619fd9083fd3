# Calls methods, makes objects and collects garbage for two minutes.
class Work
  def called(depth)
    called(depth - 1) if depth > 0
  end
end

work = Work.new
1200.times do
  work.called(3)
  kept = Array.new(10) { Object.new }
  GC.start
  sleep 0.1
end
