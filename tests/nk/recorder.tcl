# Reads a Nuke script as the Tcl program that it is, and writes down what it builds.
# Words are written as hex of UTF-8 after an x, so that any text survives and none is empty.

set ::record {}
set ::stack {}
set ::groups {}
set ::count 0

proc note {args} {
    set line {}
    foreach word $args {lappend line x[binary encode hex [encoding convertto utf-8 $word]]}
    lappend ::record [join $line " "]
}

# One Class { knob value ... }: takes its inputs from the stack and puts itself on it.
proc unknown {class args} {
    if {[llength $args] != 1} {
        note error "$class: unknown command with [llength $args] words"
        return
    }
    set body [lindex $args 0]
    set id $class#[incr ::count]
    if {[catch {llength $body} size]} {
        note error "$id: $size"
        set body {}
    } elseif {$size % 2} {
        note error "$id: a knob without a value"
        set body [lrange $body 0 end-1]
    }
    set inputs [take_inputs $id [wanted $body] [expr {$::count == 1}]]
    note node $id $class [llength $::groups] [lindex $::groups end 0] {*}$inputs
    foreach {knob value} $body {note_knob $id $knob $value}
    if {$class eq "Group"} {
        lappend ::groups [list $id $::stack]
        set ::stack {}
    } else {
        lappend ::stack $id
    }
}

# No "inputs" line takes one; "2+1" is two and a mask.
proc wanted {body} {
    set text 1
    foreach {knob value} $body {if {$knob eq "inputs"} {set text $value}}
    set sum 0
    foreach part [split $text +] {if {[string is integer -strict $part]} {incr sum $part}}
    return $sum
}

# The last one pushed is input 0. A gizmo's own inputs come from outside.
proc take_inputs {id wanted from_outside} {
    set inputs {}
    for {set i 0} {$i < $wanted} {incr i} {
        if {![llength $::stack]} {
            if {!$from_outside} {note error "$id wants $wanted inputs, the stack holds $i"}
            break
        }
        lappend inputs [lindex $::stack end]
        set ::stack [lrange $::stack 0 end-1]
    }
    return $inputs
}

# A value in braces holds expressions, one a number: {{parent.size}}; what follows the first word of one is a flag.
proc note_knob {id knob value} {
    set expressions {}
    if {$knob ne "addUserKnob" && [string index $value 0] eq "\{" && ![catch {llength $value}]} {
        foreach one $value {
            if {[catch {llength $one} words]} {set one [list $one]; set words 1}
            if {$words > 1} {note error "$id.$knob: an expression with spaces needs quotes: $one"}
            lappend expressions [lindex $one 0]
        }
    }
    note knob $id $knob $value {*}$expressions
    if {$knob eq "addUserKnob"} {note_user_knob $id $value}
}

# {type name l label t tooltip R min max M {a b} T target +FLAG}
proc note_user_knob {id value} {
    if {[catch {llength $value}]} {
        note error "$id: addUserKnob is no list: $value"
        return
    }
    set rest [lassign $value type name]
    set fields {}
    for {set i 0} {$i < [llength $rest]} {incr i} {
        set word [lindex $rest $i]
        if {[regexp {^[-+]} $word]} {
            lappend fields $word {}
        } elseif {$word eq "R"} {
            lappend fields R [list [lindex $rest $i+1] [lindex $rest $i+2]]
            incr i 2
        } else {
            lappend fields $word [lindex $rest $i+1]
            incr i
        }
    }
    note user $id $type $name {*}$fields
    if {[set at [lsearch $rest M]] >= 0} {note menu $id $name {*}[lindex $rest $at+1]}
}

proc stack {index} {
    if {$index >= [llength $::stack]} {return 0}
    return [lindex $::stack end-$index]
}

proc push {value} {lappend ::stack $value}

proc end_group {} {
    if {![llength $::groups]} {
        note error "end_group without a Group"
        return
    }
    lassign [lindex $::groups end] id outer
    note end $id {*}$::stack
    set ::groups [lrange $::groups 0 end-1]
    set ::stack [concat $outer [list $id]]
}

proc add_layer {layer} {note layer {*}$layer}
proc version {args} {}

proc record {text} {
    if {[catch {uplevel #0 $text} message]} {note error "Tcl: $message"}
    if {[llength $::groups]} {note error "missing end_group"}
    return [join $::record \n]
}
